"""Tests of the schema and of the calls into it."""
