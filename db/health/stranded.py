"""Work that nobody does any more: what `coinfleet doctor` asks beside what `status` asks.

Each question has an index that holds open work only, so it costs nothing as history grows. It
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from db.connections.pool import Pool

# So many rows of open work are looked at; above that a finding says "at least".
LOOKED_AT_MAX = 10_000
SUSPECTS = """
    select count(*)::int8 as events, min(s.id) as oldest_id, max(s.starts)::int8 as most
    from (
        select e.id, e.starts from fleet.inbox_events as e
        where e.state = 'pending' and e.starts > 0
        order by e.id limit $1
    ) as s
"""
# An event is seldom asked for anew after its first hours, so the time at which it came tells more.
WAITING = """
    select w.reason, count(*)::int8 as events, min(w.id) as oldest_id,
        min(w.received_at) as oldest_at
    from (
        select e.id, e.reason, e.received_at from fleet.inbox_events as e
        where e.state = 'waiting'
        order by e.next_attempt_at limit $2
    ) as w
    where w.received_at < clock_timestamp() - $1::interval
    group by w.reason
    order by 4
"""
LEASED = """
    select c.kind, count(*)::int8 as calls, min(c.id) as oldest_id, min(c.lease_until) as oldest_at
    from (
        select a.id, a.kind, a.lease_until from fleet.provider_calls as a
        where a.state = 'pending' and a.lease_until is not null
        limit $2
    ) as c
    where c.lease_until < clock_timestamp() - $1::interval
    group by c.kind
    order by 4
"""
DEAD = """
    select count(*)::int8 as events, min(d.id) as oldest_id, min(d.received_at) as oldest_at
    from (
        select e.id, e.received_at from fleet.inbox_events as e
        where e.state = 'dead'
        order by e.id limit $1
    ) as d
"""
TRIALS = """
    select 'replay', count(*)::int8 as trials, min(t.id) as oldest_id, min(t.asked_at) as oldest_at
    from (
        select r.id, r.asked_at from fleet.replay_trials as r
        where r.finished_at is null
        order by r.id limit $2
    ) as t
    where t.asked_at < clock_timestamp() - $1::interval
    having count(*) > 0
"""
TICKS = """
    select t.job, 1::int8 as runs, t.tick as oldest_id,
        coalesce(t.started_at, t.enqueued_at) as oldest_at
    from fleet.ticks as t
    where t.finished_at is null and t.claimable_at < clock_timestamp() - $1::interval
    order by 4
    limit $2
"""


@dataclass(frozen=True, slots=True)
class Stranded:
    """Work of one sort that has been lying for too long: how much, and the oldest of it."""

    sort: str
    number: int
    oldest_id: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Suspects:
    """Pending events that workers had when they died; at the third death one is dead."""

    events: int
    oldest_id: int
    most_deaths: int


async def read_suspects(pool: Pool) -> Suspects | None:
    """Return them, None if there are none."""
    row = await pool.fetchrow(SUSPECTS, LOOKED_AT_MAX)
    return Suspects(*row) if row and row["events"] else None


async def read_dead(pool: Pool) -> Stranded | None:
    """Return the events that nobody tries any more, None if there are none."""
    row = await pool.fetchrow(DEAD, LOOKED_AT_MAX)
    return Stranded("dead", *row) if row and row["events"] else None


async def read_trials(pool: Pool, *, longer_than: timedelta) -> list[Stranded]:
    """Return the trials of a replay that nobody has finished for so long, as one sort."""
    return await _read(pool, TRIALS, longer_than)


async def read_waiting(pool: Pool, *, longer_than: timedelta) -> list[Stranded]:
    """Return events whose other half has not come, by reason, the oldest first."""
    return await _read(pool, WAITING, longer_than)


async def read_leased(pool: Pool, *, longer_than: timedelta) -> list[Stranded]:
    """Return calls whose lease is over for so long and that nobody has claimed again, by kind."""
    return await _read(pool, LEASED, longer_than)


async def read_unfinished_ticks(pool: Pool, *, longer_than: timedelta) -> list[Stranded]:
    """Return runs of jobs that could be claimed for so long and that no worker claims."""
    return await _read(pool, TICKS, longer_than)


async def _read(pool: Pool, query: str, longer_than: timedelta) -> list[Stranded]:
    return [Stranded(*row) for row in await pool.fetch(query, longer_than, LOOKED_AT_MAX)]
