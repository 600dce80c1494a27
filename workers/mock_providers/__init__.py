"""Providers' APIs as servers on this machine, faults included: for tests and simulation alone.

Each is written from its provider's documentation, not from the product. Nothing that takes part in
production may import this (import-linter).
"""
