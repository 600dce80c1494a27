"""The way up from the two older generations of the platform: its Python beside its SQL."""
