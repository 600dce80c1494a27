"""What a worker process does: runs tasks, looks for work, reports how it is."""
