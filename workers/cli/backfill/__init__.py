"""`coinfleet backfill`: its options in command.py, what it does in run.py."""
