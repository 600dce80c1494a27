"""`coinfleet replay`: has events processed again, and tells what became of each."""
