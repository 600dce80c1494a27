"""Payloads as Stripe sends them, read by the product and applied in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from db.inbox.batches import ClaimedEvent, EventId
from tasks.providers.stripe import Stripe
from tests.db.books import NOON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.facts import Fact
    from tests.db.books import Books

Event = dict[str, Any]


def interpreted(event: Event) -> Fact:
    """Return what a payload means."""
    body = msgspec.json.encode(event)
    claimed = ClaimedEvent(EventId(1), "stripe", event["id"], event["type"], body, NOON, 0)
    return Stripe().interpret(claimed)


async def deliver(books: Books, events: Sequence[Event]) -> list[int]:
    """Store events and apply them, the ones that they wake too; return their ids in the inbox."""
    event_ids = await books.receive(*(interpreted(event) for event in events))
    while await books.work():
        pass
    return event_ids


def changed(event: Event, event_type: str | None = None, /, **fields: Any) -> Event:
    """Return the event with fields of its object changed, and with another type if one is given."""
    shape = {"data": {"object": event["data"]["object"] | fields}}
    return event | shape | {"type": event_type or event["type"]}
