"""Which providers ever told this fleet anything by themselves. For `coinfleet doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from db.connections.pool import Pool

# What a client submits has an id that begins with `client:`; the semicolon comes after the colon.
# Two ranges of the unique key, so that no number of submissions stands in the way.
HEARD = """
    select p.name
    from unnest($1::text[]) as p (name)
    cross join lateral (
        (
            select e.id from fleet.inbox_events as e
            where e.provider = p.name and e.provider_event_id < 'client:'
            order by e.provider_event_id limit 1
        )
        union all
        (
            select e.id from fleet.inbox_events as e
            where e.provider = p.name and e.provider_event_id >= 'client;'
            order by e.provider_event_id limit 1
        )
        limit 1
    ) as e
"""


async def read_heard(pool: Pool, providers: Sequence[str]) -> set[str]:
    """Return those of these providers of whom an event came that no client submitted."""
    return {row[0] for row in await pool.fetch(HEARD, providers)}


async def read_age(pool: Pool) -> timedelta:
    """Return for how long the schema has been here."""
    age: timedelta = await pool.fetchval(
        "select clock_timestamp() - min(m.applied_at) from fleet.schema_migrations as m"
    )
    return age
