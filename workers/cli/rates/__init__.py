"""`coinfleet rates`: what other currencies are worth in US dollars."""
