"""HTTP connections of `web`: their bounds, and what all of them may use together."""
