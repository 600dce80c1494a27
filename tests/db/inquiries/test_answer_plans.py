"""What is open is found by the deadline, whatever was asked and answered before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from db.connections.pool import Connection

GROWING = {
    "store_inquiries",
    "provider_calls",
    "inbox_events",
    "payment_keys",
    "store_payments",
    "payments",
    "coin_purchases",
    "joined_purchases",
    "profiles",
}


async def test_open_questions_are_found_by_their_deadline(db: Connection) -> None:
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = 'fleet.open_inquiries()'::regprocedure"
    )
    await db.execute("set local enable_seqscan = off")
    read = [node for node in await plan(db, body) if node.table in GROWING]
    assert None not in indexes(read)
    assert "store_inquiries_deadline_idx" in indexes(read)


@pytest.mark.commits
@pytest.mark.parametrize("function", ["open_inquiries", "late_answers", "inquiry_counts"])
async def test_what_is_over_is_not_read(db: Connection, function: str) -> None:
    event_id = await db.fetchval(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload_sha256)"
        " values ('google', 'asked', 'test', '') returning id"
    )
    await db.execute(
        "insert into fleet.store_inquiries"
        " (provider, inquiry_id, event_id, store_app, asked_at, deadline)"
        " select 'google', 'question ' || n, $1, 'com.example', at, at + interval '1 day'"
        " from (select n, now() - n * interval '2 days' as at from generate_series(0, 500) as n)"
        " as q",
        event_id,
    )
    await db.execute("analyze fleet.store_inquiries")
    before = await db.fetchval(READ)
    await db.fetch(f"select * from fleet.{function}()")
    assert await db.fetchval(READ) - before <= 2


READ = """
select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
where relid = 'fleet.store_inquiries'::regclass
"""


async def test_a_question_is_found_by_its_number(db: Connection) -> None:
    await db.execute("set local enable_seqscan = off")
    nodes = await plan(db, "select * from fleet.store_inquiries where id = $1 for update", 1)
    assert indexes(nodes) == {"store_inquiries_id_idx"}
