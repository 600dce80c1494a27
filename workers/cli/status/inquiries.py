"""What `coinfleet status` says of stores' questions: how many are open, and which ended late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.health.inquiries import read_late_answers, read_open_inquiries
from workers.cli.status.faults import Fault
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool


async def find_open_inquiries(pool: Pool, *, now: datetime) -> list[Fault]:
    """Return a fault per store that asks about a refund, and one per store answered too late."""
    opened = [
        Fault(
            "inquiry_open",
            f"{each.provider} asks about {counted(each.inquiries, 'refund')}: the first (question"
            f" {each.inquiry}) was asked {ago((now - each.asked_at).total_seconds())} and ends"
            f" in {duration((each.deadline - now).total_seconds())}",
            "see `coinfleet purchases inquiries`",
        )
        for each in await read_open_inquiries(pool)
    ]
    late = [
        Fault(
            "inquiry_late",
            f"{each.provider} was not answered in time about {counted(each.answers, 'refund')}"
            f" within a day, the last: question {each.inquiry}"
            + (f" ({each.last_error})" if each.last_error else ""),
        )
        for each in await read_late_answers(pool)
    ]
    return opened + late
