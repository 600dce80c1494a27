"""`coinfleet doctor`: examines what a fleet stands on, and names the fix of each finding."""
