"""Events of the inbox: new ones as a receiver stores them, and old ones."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from db.facts import Verdict
from db.inbox.arrivals import Arrival
from tests.db.books import Books

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent

BODY = b'{"id": "evt"}'


def arrival(event_id: str, body: bytes = b"{}", provider: str = "stripe") -> Arrival:
    """Return an event as a receiver stores it."""
    return Arrival(
        provider=provider,
        provider_event_id=event_id,
        event_type="test",
        payload=body,
        payload_sha256=sha256(body).digest(),
    )


def ignore(_event: ClaimedEvent) -> Fact:
    """Interpret any event as one that doesn't concern us."""
    return Verdict(state="ignored", reason="unknown_type")


async def ids(books: Books) -> list[str]:
    """Return the providers' ids of the stored events, in the order of the inbox."""
    rows = await books.db.fetch("select provider_event_id from fleet.inbox_events order by id")
    return [row["provider_event_id"] for row in rows]


async def receive(db: Connection, name: str, *, days_ago: int, state: str = "applied") -> None:
    """Write an event into the inbox that was received so many days ago."""
    await db.execute(
        "insert into fleet.inbox_events"
        " (provider, provider_event_id, event_type, payload, payload_sha256, state, reason,"
        " received_at)"
        " values ('stripe', $1, 'test', $2, $3, $4, 'test', now() - $5 * interval '1 day')",
        name,
        BODY,
        sha256(BODY).digest(),
        state,
        days_ago,
    )
