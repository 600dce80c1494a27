"""`coinfleet status`: how the fleet is, and whether a person must look."""
