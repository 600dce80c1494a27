"""What `coinfleet status` says of purchases of which a store was not told in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.health.confirmations import read_late_confirmations
from workers.cli.status.faults import Fault
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from db.connections.pool import Pool

_MEANINGS = {
    "acknowledgement": "the store refunds them by itself, three days after the sale at the latest;"
    " one that has no buyer waits for a person to name one",
    "consumption": "their buyers can't buy the same again",
}


async def find_late(pool: Pool) -> list[Fault]:
    """Return a fault per store and per kind of what is late."""
    return [
        Fault(
            "confirmation_late",
            f"no {late.lacks} at {late.provider}: {counted(late.purchases, 'purchase')}, the oldest"
            f" for {duration(late.oldest_s)}: {_MEANINGS[late.lacks]}",
        )
        for late in await read_late_confirmations(pool)
    ]
