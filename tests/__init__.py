"""The proofs: mirrors the tree, plus journeys through real processes and faults done to them."""
