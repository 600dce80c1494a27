"""Providers' APIs, and the app, as servers on this machine, faults included.

For tests and simulation alone. Each is written from a documentation, not from the product. Nothing
that takes part in production may import this (import-linter).
"""
