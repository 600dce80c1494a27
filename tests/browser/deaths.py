"""Events that failed at all attempts, as a disk that was full leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection
    from tests.faults.shop import Purchase

DEAD = """
    insert into fleet.inbox_events
        (provider, provider_event_id, event_type, payload, payload_sha256, state, reason, attempts,
         processed_at, last_error)
    select 'stripe', p.event_id, 'payment_intent.succeeded', p.payload, sha256(p.payload), 'dead',
        'failed', 5, clock_timestamp(), '53100: the disk is full'
    from unnest($1::text[], $2::bytea[]) as p (event_id, payload)
"""


async def die(db: Connection, purchases: Sequence[Purchase], *, sku: bytes = b"coins") -> None:
    """Store the event of each purchase as one that failed at all attempts."""
    bodies = [each.webhook().body.replace(b'"coins"', b'"%b"' % sku) for each in purchases]
    await db.execute(DEAD, [each.event_id for each in purchases], bodies)
