"""Real processes under load, while servers and processes are killed, frozen, emptied, stopped."""
