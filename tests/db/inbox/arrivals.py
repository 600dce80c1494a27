"""Events of the inbox: as a receiver stores them, as they stand days later, and ignored."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from db.arrivals import Arrival
from db.facts import Verdict
from tests.db.books import Books

if TYPE_CHECKING:
    from db.batches import ClaimedEvent
    from db.connections.pool import Connection
    from db.facts import Fact

BODY = b'{"id": "evt"}'


def arrival(event_id: str, body: bytes = b"{}", provider: str = "stripe") -> Arrival:
    """An event as a receiver hands it in."""
    return Arrival(
        provider=provider,
        provider_event_id=event_id,
        event_type="test",
        payload=body,
        payload_sha256=sha256(body).digest(),
    )


def ignore(_event: ClaimedEvent) -> Fact:
    """Interpret any event as nothing to do with us."""
    return Verdict(state="ignored", reason="unknown_type")


async def ids(books: Books) -> list[str]:
    """The stored events' ids, in the order of their numbers."""
    rows = await books.db.fetch("select provider_event_id from fleet.inbox_events order by id")
    return [row["provider_event_id"] for row in rows]


async def receive(db: Connection, name: str, *, days_ago: int, state: str = "applied") -> None:
    """Put an event into the inbox as it stands after so many days."""
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
