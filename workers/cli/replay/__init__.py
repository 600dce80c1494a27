"""`coinfleet replay`: has things done again that were done, failed or given up."""
