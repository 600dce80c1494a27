"""The tests: they mirror the tree; journeys/ runs real processes, faults/ breaks them."""
