"""`coinfleet explain`: the story of any id."""
