"""Contexts as a worker process makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.inbox.claims import Inbox
from tasks.breaker import Breaker
from tasks.context import Context
from tasks.providers import PROVIDERS
from workers.outage import Outage

if TYPE_CHECKING:
    from db.connections.pool import Pool


def make_context(pool: Pool, **changes: Any) -> Context:
    """A context on this pool, with an inbox of its own and every provider as it is by default."""
    made: dict[str, Any] = {
        "pool": pool,
        "inbox": Inbox(pool, worker="test"),
        "providers": {provider.name: provider() for provider in PROVIDERS},
        "worker": "test",
    } | changes
    made.setdefault(
        "breakers",
        {name: Breaker(Outage("provider", then="", provider=name)) for name in made["providers"]},
    )
    return Context(**made)
