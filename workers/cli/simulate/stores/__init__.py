"""Sales of stores for the simulator: what a store tells of them, and what clients submit."""
