"""HTTP for `web` and `console`: a server that checks its database address, and bounded connections.

Knows no route and no page: a process says what its requests may be and how it answers where it has
no room.
"""
