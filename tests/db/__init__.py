"""What the schema and the calls into it promise."""
