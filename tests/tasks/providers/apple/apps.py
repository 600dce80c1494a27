"""An app of ours, who signs for it, and the provider that knows it; certificates made once."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from db.inbox.batches import ClaimedEvent, EventId
from tasks.providers.apple import Apple
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID, AppleSigner, Chain, Leaf

AT = datetime(2026, 11, 27, 9, 0, 0, 123_000, tzinfo=UTC)
NOW_S = AT.timestamp() + 5
BUYER = "6a2a7f0c-1111-4222-8333-444455556666"


@cache
def chain(name: str = "tests") -> Chain:
    """Return the chain of this name; "tests" is the one that is trusted."""
    return Chain(name)


@cache
def leaf(no: int = 1, name: str = "tests") -> Leaf:
    """Return a leaf of a chain; each has a header of its own."""
    return chain(name).leaf(no)


def signer(environment: str = "Production", *, of: Leaf | None = None) -> AppleSigner:
    """Return who signs for our app."""
    return AppleSigner(leaf=of or leaf(), environment=environment)


def new_apple() -> Apple:
    """Return the provider of our app, which has seen no header yet."""
    return Apple(apps={BUNDLE_ID: APP_APPLE_ID}, root_certificates=[chain().root])


def claimed(payload: bytes, event_type: str = "ANY") -> ClaimedEvent:
    """Return an event as a worker claims it."""
    return ClaimedEvent(EventId(1), "apple", "event-1", event_type, payload, AT, 1)
