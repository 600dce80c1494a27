"""What is true: the schema, the money core and the typed calls into it.

No SQL lives outside this package, and nothing outside it imports asyncpg.
"""
