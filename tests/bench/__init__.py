"""`make bench`: DESIGN's budgets, each measured against its reference in the same run."""
