"""The queue: its address, its client, the Dramatiq broker and the doorbell."""
