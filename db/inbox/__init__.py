"""The inbox: events are stored, claimed, applied, and found again by their senders."""
