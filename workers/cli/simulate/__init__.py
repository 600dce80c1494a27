"""`coinfleet simulate`: signed events as providers send them, and what became of them."""
