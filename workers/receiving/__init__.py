"""What the web process does: takes requests in, verifies and stores them, says how it is."""
