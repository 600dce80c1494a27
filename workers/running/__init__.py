"""What a worker process does: it looks for work, runs tasks and reports how it is."""
