"""All names of a payment: whatever names it in an event is a key of it."""

from __future__ import annotations

from typing import Any

from tasks.providers import reading


def payment_keys(*references: Any) -> list[str]:
    """Give the names of a payment, the one that purchases are unique by first."""
    names = (reading.identifier(reference) for reference in references)
    return list(dict.fromkeys(name for name in names if name is not None))
