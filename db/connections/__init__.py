"""How a process connects: addresses, their servers, poolers, pools, and whom it logs in as."""
