"""What all tests of `coinfleet status` need: to store an event, and to read the health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.inbox.arrivals import Arrival, store_arrivals
from workers.cli.status.command import read_health

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from tests.clusters import Database
    from workers.cli.status.health import FleetHealth

NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/nowhere"


async def store_event(web_pool: Pool, event_id: str) -> None:
    """Store one event."""
    arrival = Arrival("stripe", event_id, "payment_intent.succeeded", b"{}", event_id.encode())
    await store_arrivals(web_pool, [arrival])


async def health_of(database: Database, redis_url: str | None = None) -> FleetHealth:
    """Read the health as the command does."""
    return await read_health(database.url(), redis_url)
