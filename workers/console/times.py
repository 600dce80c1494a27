"""Times that people type or links carry: read once, so that each page refuses the same."""

from __future__ import annotations

from datetime import UTC, datetime

from workers.console.visit import BadInput


def read_time(text: str | None) -> datetime | None:
    """Return a time in UTC, as a browser's field for times writes it. Raises BadInput."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("A time is written as 2026-12-02T09:05 and is in UTC.") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not 2000 <= at.year < 9000:
        raise BadInput("A time is between the years 2000 and 9000.")
    return at


def read_place(text: str, *, numbers: int) -> tuple[datetime, list[int]] | None:
    """Return where a list goes on: a time, then so many numbers. None for its beginning.

    Raises BadInput.
    """
    if not text:
        return None
    at, *rest = text.split(" ")
    if len(rest) != numbers or not all(
        each.isascii() and each.isdigit() and len(each) < 19 for each in rest
    ):
        raise BadInput("A place in a list is as the links have it.")
    moment = read_time(at)
    if moment is None:
        raise BadInput("A place in a list is as the links have it.")
    return moment, [int(each) for each in rest]


def write_place(at: datetime, *numbers: int) -> str:
    """Return a place as a link carries it."""
    return " ".join([at.isoformat(), *map(str, numbers)])
