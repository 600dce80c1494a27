"""A profile: its statement, the same as a file, and a person's correction of its balance."""
