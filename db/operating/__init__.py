"""What operators do in the database by commands, as the schema's owner, noted with who did it."""
