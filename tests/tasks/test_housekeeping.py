"""The housekeeping task, as a worker runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.housekeeping import tidy_up
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


HELD_BEFORE_HALVES_WERE_STORED = """
insert into fleet.inbox_events
(provider, provider_event_id, event_type, payload, payload_sha256, state, reason)
select 'stripe', 'evt_' || no, 'test', '{}', '', 'held', 'unknown_buyer'
from generate_series(1, $1::integer) as no
"""
STILL_HELD = "select count(*) from fleet.inbox_events where state = 'held'"


async def receive(db: Connection, *, state: str) -> None:
    """Add an event to the inbox that has waited long enough."""
    await db.execute(
        "insert into fleet.inbox_events"
        " (provider, provider_event_id, event_type, payload, payload_sha256, state, reason)"
        " values ('stripe', gen_random_uuid()::text, 'test', '{}', '', $1, 'test')",
        state,
    )


async def test_events_that_waited_long_enough_become_pending(
    db: Connection, worker_pool: Pool
) -> None:
    await receive(db, state="waiting")
    await tidy_up(make_context(worker_pool))
    assert await db.fetchval("select state from fleet.inbox_events") == "pending"


async def test_a_run_judges_500_held_events_again_and_the_next_one_the_rest(
    db: Connection, worker_pool: Pool
) -> None:
    await db.execute(HELD_BEFORE_HALVES_WERE_STORED, 501)
    left = []
    for _ in range(2):
        await tidy_up(make_context(worker_pool))
        left.append(await db.fetchval(STILL_HELD))
    assert left == [1, 0]


async def test_folding_event_counts_changes_none_of_them(db: Connection, worker_pool: Pool) -> None:
    for state in ("applied", "applied", "held"):
        await receive(db, state=state)
    before = await db.fetch("select * from fleet.event_counts()")
    await tidy_up(make_context(worker_pool))
    assert await db.fetch("select * from fleet.event_counts()") == before
    assert await db.fetchval("select count(*) from fleet.event_tallies") == 2
