"""What only the console asks: its sessions, lists of events and actions, a payload."""
