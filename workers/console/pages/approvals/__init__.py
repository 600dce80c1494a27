"""The approval desk: what is held, asked or frozen, and the decisions of the person who looks."""
