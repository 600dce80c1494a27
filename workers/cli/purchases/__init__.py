"""`coinfleet purchases`: what is held, and a person's decision about it."""
