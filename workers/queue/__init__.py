"""The queue: its address, its clients, the Dramatiq broker and the doorbell."""
