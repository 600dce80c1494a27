"""Which providers told this fleet anything by themselves, and what of it could not be used.

For `coinfleet doctor`.
"""

from __future__ import annotations

from dataclasses import dataclass
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

# The newest only: what was refused long ago may have been mended, and a count costs as much as
# there is history.
LATELY = 1_000
REFUSED = """
    select n.provider, n.reason, n.events, n.of_provider, n.newest_id
    from (
        select l.provider, l.reason, l.state, count(*)::int8 as events, max(l.id) as newest_id,
            (sum(count(*)) over (partition by l.provider))::int8 as of_provider
        from (
            select e.id, e.provider, e.state, e.reason from fleet.inbox_events as e
            order by e.id desc limit $1
        ) as l
        group by l.provider, l.state, l.reason
    ) as n
    where n.state = 'rejected' and n.reason = any($2)
    order by n.events desc, n.provider, n.reason
"""


@dataclass(frozen=True, slots=True)
class RefusedLately:
    """How many of a provider's newest events were refused for one reason."""

    provider: str
    reason: str
    events: int
    of_provider: int
    newest_id: int


async def read_refused(pool: Pool, reasons: Sequence[str]) -> list[RefusedLately]:
    """Return what was refused for these reasons among the newest LATELY events."""
    rows = await pool.fetch(REFUSED, LATELY, reasons)
    return [RefusedLately(*row) for row in rows]


async def read_heard(pool: Pool, providers: Sequence[str]) -> set[str]:
    """Return those of these providers of whom an event came that no client submitted."""
    return {row[0] for row in await pool.fetch(HEARD, providers)}


async def read_age(pool: Pool) -> timedelta:
    """Return for how long the schema has been here."""
    age: timedelta = await pool.fetchval(
        "select clock_timestamp() - min(m.applied_at) from fleet.schema_migrations as m"
    )
    return age
