"""Servers that answer as providers and the app do, for tests, simulation and `make run` alone."""
