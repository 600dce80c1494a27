"""What is held, and who decides it: people, or the time."""
