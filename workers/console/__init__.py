"""console: the pages on which people look at the fleet, decide and act (PROCESSES: `console`).

Every page is a row of `table.py`. It asks the database alone, as the role coinfleet_console; it
calls no provider, imports none, and has no queue.
"""
