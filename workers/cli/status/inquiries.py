"""What `coinfleet status` says of stores' questions: how many are open, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.health.inquiries import read_open_inquiries
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool


async def find_open_inquiries(pool: Pool, *, now: datetime) -> list[str]:
    """Return a line per store that asks about a refund: only a person can answer it there."""
    return [
        f"{each.provider} asks about {counted(each.inquiries, 'refund')}: the first"
        f" ({each.inquiry_id[:40]}) was asked {ago((now - each.asked_at).total_seconds())} and ends"
        f" in {duration((each.deadline - now).total_seconds())}: `coinfleet explain` tells what"
        " became of the coins"
        for each in await read_open_inquiries(pool)
    ]
