"""`coinfleet status`: the state of the fleet, and whether it needs a person."""
