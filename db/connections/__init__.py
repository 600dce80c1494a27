"""How a process connects: addresses, servers, poolers, pools, and the role that is logged in."""
