"""Numbers and times as a person reads them."""

from __future__ import annotations

# (seconds in one, what it is called), the largest first.
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def counted(number: int, noun: str) -> str:
    """Return a number of things: 1 event, 2,000 events."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a time in one unit: 40 s, 3 min, 5 h, 2 d."""
    for length, name in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return "0 s"


def ago(seconds: float) -> str:
    """Return how long ago something was, or that its time is ahead of a clock that was set back."""
    if seconds <= -1:
        return f"{duration(-seconds)} ahead of the clock"
    return f"{duration(seconds)} ago"
