"""What is held is found by indexes of what is held, whatever the size of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.books import Payment
from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.db.books import Books

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


PAGE = {"p_reason": "null::text", "p_after_at": "null::timestamptz", "p_limit": "100"}
PAGE |= dict.fromkeys(("p_after_event", "p_after_purchase", "p_event_id"), "null::bigint")


@pytest.mark.parametrize(
    ("function", "values"),
    [
        ("fleet.hold_to_expire(timestamptz)", {"p_before": "now()"}),
        ("fleet.held_page(text,timestamptz,bigint,bigint,integer,bigint)", PAGE),
        ("fleet.remind_of_holds(integer, timestamptz)", {"p_limit": "100"}),
    ],
)
async def test_holds_are_found_by_their_indexes(
    db: Connection, function: str, values: dict[str, str]
) -> None:
    body = await db.fetchval(
        "select prosrc from pg_proc where oid = $1::text::regprocedure", function
    )
    await db.execute("set local enable_seqscan = off")
    for name, value in {**values, "p_now": "now()"}.items():
        body = body.replace(name, value)
    nodes = await plan(db, body)
    read = indexes([node for node in nodes if node.table in GROWING])
    assert None not in read
    assert "inbox_events_held_idx" in read
    if "remind" not in function:
        assert "coin_purchases_undecided_idx" in read


async def test_of_what_is_held_only_a_page_is_looked_at_closely(books: Books) -> None:
    buyers = await books.profiles(4)
    for buyer in buyers:
        await books.apply_one(Payment().worth(buyer, 30_000))
    read = (
        "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0) from pg_stat_xact_user_tables"
        " where relname = 'decisions'"
    )
    await books.db.execute(
        "insert into fleet.decisions"
        " (purchase_id, verb, outcome, who, reason, hold_reason, coins, needs_second,"
        " decided_at)"
        " select p.id, 'approve', 'first_approval', 'ann', 'why', p.hold_reason, 1, true, now()"
        " from public.coin_purchases as p"
    )
    before = await books.db.fetchval(read)
    page = await books.db.fetch("select * from fleet.held_page(null, null, null, null, 1)")
    assert [row["approvals"] for row in page] == [["ann"]]
    assert await books.db.fetchval(read) - before == 1
