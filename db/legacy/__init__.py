"""Upgrades from the two older generations of the platform, Python and SQL side by side."""
