"""Times as a person types them."""

from __future__ import annotations

from datetime import UTC, datetime


def read_time(text: str) -> datetime:
    """Return a time; one without a zone is in UTC, a day alone is its midnight.

    Raises ValueError with a message for a person.
    """
    try:
        found = datetime.fromisoformat(text.strip())
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no time such as 2026-05-04 or 2026-05-04T12:00:00Z"
        raise ValueError(message) from error
