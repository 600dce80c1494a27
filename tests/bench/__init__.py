"""`make bench`: the budgets, each measured against its reference in the same run."""
