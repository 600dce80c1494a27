"""What `coinfleet status` says of missed events: those found of late, and who is not asked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.health.backfills import read_missed_events, read_unread_histories
from workers.cli.status.faults import Fault
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool
    from db.health.backfills import MissedEvents

# A webhook that is lost needs a person once, not for ever.
MISSED_WITHIN = timedelta(hours=24)
# Long before the first provider lists an event no more, after 30 days.
UNREAD_AFTER = timedelta(days=1)
TYPES_NAMED = 3


async def find_missed(pool: Pool, *, now: datetime) -> list[Fault]:
    """Return a fault per provider for the events that its webhooks did not bring.

    And one per provider whose history is not read any more.
    """
    missed = await read_missed_events(pool, since=now - MISSED_WITHIN)
    unread = await read_unread_histories(pool, longer_than=UNREAD_AFTER)
    return [
        *(
            _missed(provider, [each for each in missed if each.provider == provider], now)
            for provider in sorted({each.provider for each in missed})
        ),
        *(
            Fault(
                "history_unread",
                f"the history of {each.provider} is read only up to"
                f" {duration(each.reached_s or 0)} ago ({each.last_error or 'no worker reads it'}):"
                " missed events are not found",
            )
            for each in unread
        ),
    ]


def _missed(provider: str, missed: list[MissedEvents], now: datetime) -> Fault:
    total = sum(each.events for each in missed)
    types = ", ".join(f"{each.event_type} {each.events:,}" for each in missed[:TYPES_NAMED])
    more = len(missed) - TYPES_NAMED
    others = f" and {counted(more, 'other type')}" if more > 0 else ""
    newest = ago((now - max(each.newest_at for each in missed)).total_seconds())
    return Fault(
        "events_missed",
        f"missed: {counted(total, 'event')} of {provider} within a day that no webhook brought"
        f" ({types}{others}), the newest found {newest}",
        "they are stored now, but find out why: are these types sent here, and was `web` up?",
    )
