"""Backfills at any size: each question is answered by an index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from db.backfills import find_unseen
from db.health.backfills import read_missed_events
from tests.db.backfill.readings import Readings
from tests.db.plans import indexes, plan, statement

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.db.books import Books

MANY = 5_000


@pytest.fixture
async def many(readings: Readings, books: Books) -> Readings:
    """Many events, of which many were found, and many purchases."""
    db = books.db
    await readings.read_all()
    await db.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at)"
        " select 'stripe', 'evt_' || n, 'test', '{}', '', 'ignored', 'not_ours', now()"
        " from generate_series(1, $1) as n",
        MANY,
    )
    await db.execute(
        "insert into fleet.found_events (event_id, backfill_id, provider, event_type, made_at,"
        " found_at, is_missed)"
        " select e.id, (select max(b.id) from fleet.backfills as b), 'stripe', 'test', now(),"
        " now() - e.id * interval '1 hour', e.id % 2 = 0 from fleet.inbox_events as e"
    )
    await db.execute("analyze fleet.inbox_events, fleet.found_events, fleet.backfills")
    return readings


async def test_a_page_is_stored_by_keys(many: Readings, books: Books) -> None:
    db = books.db
    reading = await many.begin()
    before = await read(db)
    ids = [f"evt_{number}" for number in range(MANY - 50, MANY + 50)]
    counts = await many.store(reading, *ids)
    assert counts == (49, 49, 51)
    whole, rows = await read(db)
    assert (whole, rows - before[1] < 1_000) == (before[0], True)


async def test_what_was_missed_long_ago_is_not_read(many: Readings, books: Books) -> None:
    await books.db.execute(
        "update fleet.found_events set found_at = now(), is_missed = true"
        " where event_id = (select max(f.event_id) from fleet.found_events as f)"
    )
    _, before = await read(books.db)
    since = datetime.now(UTC) - timedelta(days=1)
    [missed] = await read_missed_events(books.db, since=since)
    _, after = await read(books.db)
    assert missed.events == 1
    assert after - before <= 20


async def read(db: Connection) -> tuple[int, int]:
    """How often this transaction read these tables whole, and how many of their rows."""
    row = await db.fetchrow(
        "select sum(seq_scan), sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables"
        " where relname in ('inbox_events', 'found_events')"
    )
    assert row is not None
    return int(row[0]), int(row[1] or 0)


async def test_what_is_unseen_is_counted_by_keys(many: Readings, books: Books) -> None:
    before = await read(books.db)
    assert await find_unseen(books.db, "stripe", ["evt_1", "evt_new"]) == {"evt_new"}
    whole, rows = await read(books.db)
    assert (whole, rows - before[1] <= 3) == (before[0], True)


async def test_the_newest_missed_event_is_found_by_its_index(many: Readings, books: Books) -> None:
    sql = statement("fleet.backfill_statuses", "select b.provider")
    assert "found_events_missed_idx" in indexes(await plan(books.db, sql))


async def test_known_orders_are_found_by_their_index(many: Readings, books: Books) -> None:
    await books.db.execute("set local enable_seqscan = off")
    values = {"p_after_at": "'-infinity'", "p_after_id": 0, "p_limit": 10, "p_now": "now()"}
    sql = statement("fleet.known_orders", "select p.purchased_at", **values)
    used = indexes(await plan(books.db, sql))
    assert "coin_purchases_google_idx" in used
    assert None not in used


async def test_orders_that_google_forgot_are_not_read(db: Connection) -> None:
    buyer = await db.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    await db.execute(
        "insert into public.coin_purchases (payment_id, profile_id, provider, provider_event_id,"
        " provider_payment_id, coin_amount, status, purchased_at, granted_at)"
        " select n, $1, 'google', 'old_' || n, 'token_' || n, 100, 'confirmed',"
        " now() - interval '61 days' + n * interval '1 s', now() from generate_series(1, 500) as n",
        buyer,
    )
    read = (
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where relid = 'public.coin_purchases'::regclass"
    )
    before = await db.fetchval(read)
    assert not await db.fetch("select * from fleet.known_orders('-infinity', 0, 10)")
    assert await db.fetchval(read) == before
