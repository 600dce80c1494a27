"""What money costs: gifts against the least that writes their rows, refunds, history."""
