"""What is held is found by indexes of what is held, whatever the size of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from db.connections.pool import Connection

GROWING = {"coin_purchases", "inbox_events"}


@pytest.mark.commits
async def test_payments_of_stores_that_are_not_held_are_not_priced(db: Connection) -> None:
    await db.execute(
        "insert into fleet.store_payments (payment_id, provider, store_app, told_at)"
        " select n, 'google', 'com.example', now() from generate_series(1, 1000) as n;"
        " insert into fleet.inbox_events (provider, provider_event_id, event_type, payload_sha256,"
        " state, reason, payment_id)"
        " select 'google', 'evt_' || n, 'test', '', 'held', 'unknown_buyer', n"
        " from generate_series(801, 1000) as n;"
        " analyze fleet.store_payments, fleet.inbox_events"
    )
    read = (
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where relid = 'fleet.store_payments'::regclass"
    )
    before = await db.fetchval(read)
    assert len(await db.fetch("select * from fleet.held_purchases(1000)")) == 200
    assert await db.fetchval(read) - before <= 200


@pytest.mark.parametrize(
    ("function", "argument", "value"),
    [
        ("fleet.hold_to_expire(timestamptz)", "p_before", "now()"),
        ("fleet.held_purchases(integer)", "p_limit", "100"),
        ("fleet.remind_of_holds(integer, timestamptz)", "p_limit", "100"),
    ],
)
async def test_holds_are_found_by_their_indexes(
    db: Connection, function: str, argument: str, value: str
) -> None:
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = $1::text::regprocedure", function
    )
    await db.execute("set local enable_seqscan = off")
    nodes = await plan(db, body.replace(argument, value).replace("p_now", "now()"))
    read = indexes([node for node in nodes if node.table in GROWING])
    assert None not in read
    assert "inbox_events_held_idx" in read
    if "remind" not in function:
        assert "coin_purchases_undecided_idx" in read
