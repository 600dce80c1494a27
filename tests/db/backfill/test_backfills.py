"""Readings of a history in SQL: what is stored and counted, how far it reaches, who goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.backfills import read_known_orders
from db.inbox.arrivals import Stored, store_arrivals
from tests.db.backfill.readings import HOUR, MONTH, YOUNG, begin, store
from tests.db.books import NOON, Books
from tests.db.inbox.arrivals import arrival, ids
from tests.db.races import blocked

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect
    from tests.db.backfill.readings import Readings


async def test_an_event_that_no_webhook_brought_is_stored_once(
    readings: Readings, books: Books
) -> None:
    assert await readings.read_all("a", "b") == (2, 2, 0)
    assert await readings.read_all("b", "c", "c") == (1, 1, 2)
    assert await ids(books) == ["a", "b", "c"]
    states = await books.db.fetch("select distinct state from fleet.inbox_events")
    assert [row["state"] for row in states] == ["pending"]


@pytest.mark.parametrize(("minutes_old", "missed"), [(15, 0), (16, 1), (0, 0), (-600, 0)])
async def test_only_an_event_of_more_than_15_minutes_is_missed(
    readings: Readings, minutes_old: int, missed: int
) -> None:
    assert await readings.read_all("a", minutes_old=minutes_old) == (1, missed, 0)


async def test_a_body_that_cant_be_read_is_found_under_its_hash(
    readings: Readings, books: Books
) -> None:
    assert await readings.read_all("malformed") == (1, 1, 0)
    assert await readings.read_all("malformed") == (0, 0, 1)
    (event,) = await books.db.fetch("select state, reason from fleet.inbox_events")
    assert tuple(event) == ("rejected", "malformed")


async def test_nothing_is_read_of_the_time_before_the_fleet(
    readings: Readings, books: Books
) -> None:
    reading = await readings.begin()
    assert (reading["from_at"], reading["to_at"], reading["cursor"]) == (NOON, NOON, None)
    await readings.store(reading, reaches=NOON)
    await readings.finish(reading)
    for _ in range(3):
        books.wait(minutes=10)
        reading = await readings.begin()
        assert reading["from_at"] == NOON
        await readings.finish(reading)
    assert reading["to_at"] == books.now - YOUNG


async def test_a_pass_is_from_an_hour_before_the_watermark_until_15_minutes_ago(
    readings: Readings, books: Books
) -> None:
    await readings.run_for_long()
    assert await readings.watermark() == NOON - YOUNG
    books.wait(minutes=10)
    reading = await readings.begin()
    assert (reading["from_at"], reading["to_at"]) == (NOON - YOUNG - HOUR, books.now - YOUNG)


async def test_the_watermark_is_what_pages_reach_and_never_goes_back(
    readings: Readings, books: Books
) -> None:
    await readings.read_all()
    books.wait(hours=6)
    reading = await readings.begin()
    assert await readings.watermark() == NOON
    # A page of a slice that is not read to its end.
    await readings.store(reading, "a", reaches=reading["from_at"])
    assert await readings.watermark() == NOON
    await readings.store(reading, "b", reaches=NOON + 2 * HOUR)
    assert await readings.watermark() == NOON + 2 * HOUR
    await readings.finish(reading)
    assert await readings.watermark() == NOON + 2 * HOUR


async def test_the_watermark_is_never_later_than_the_pass(readings: Readings, books: Books) -> None:
    reading = await readings.begin()
    books.wait(hours=6)
    await readings.store(reading, reaches=books.now)
    assert await readings.watermark() == NOON


async def test_a_pass_that_was_cut_goes_on_at_its_cursor(readings: Readings, books: Books) -> None:
    await readings.read_all()
    books.wait(minutes=10)
    first = await readings.begin()
    await readings.store(first, "a", cursor="after a")
    books.wait(minutes=10)
    second = await readings.begin(worker="two")
    same = ("id", "from_at", "to_at")
    assert [second[each] for each in same] == [first[each] for each in same]
    assert second["cursor"] == "after a"


async def test_whoever_had_a_reading_stores_nothing_more_of_it(
    readings: Readings, books: Books
) -> None:
    first = await readings.begin()
    second = await readings.begin(worker="two")
    assert await readings.store(first, "a", cursor="lost") is None
    assert await readings.fail(first) is None
    assert not await readings.finish(first)
    assert await ids(books) == []
    assert await readings.store(second, "a") == (1, 1, 0)
    assert (await readings.row(second))["worker"] == "two"


async def test_a_failure_keeps_the_cursor_until_the_provider_answers(
    readings: Readings, books: Books
) -> None:
    reading = await readings.begin()
    await readings.store(reading, "a", cursor="after a")
    assert await readings.fail(reading) == 0
    books.wait(minutes=10)
    reading = await readings.begin()
    assert reading["cursor"] == "after a"
    assert await readings.fail(reading, "429") == 600
    row = await readings.row(reading)
    assert (row["failing_since"], row["last_error"]) == (NOON, "429")
    await readings.store(reading)
    row = await readings.row(reading)
    assert (row["failing_since"], row["last_error"]) == (None, None)


async def test_a_cursor_that_the_provider_refuses_is_forgotten(readings: Readings) -> None:
    reading = await readings.begin()
    await readings.store(reading, "a", cursor="too old")
    await readings.fail(reading, "400", from_the_beginning=True)
    again = await readings.begin()
    assert (again["cursor"], again["from_at"]) == (None, reading["from_at"])


async def test_a_pass_that_begins_anew_reads_until_now(readings: Readings, books: Books) -> None:
    await readings.run_for_long()
    reading = await readings.begin()
    await readings.fail(reading, "403", from_the_beginning=True)
    books.wait(hours=2)
    again = await readings.begin()
    assert (again["from_at"], again["to_at"]) == (reading["from_at"], books.now - YOUNG)


async def test_a_first_pass_that_fails_reads_nothing_of_the_time_before(
    readings: Readings, books: Books
) -> None:
    await readings.fail(await readings.begin())
    books.wait(minutes=30)
    reading = await readings.begin()
    assert (reading["from_at"], reading["to_at"]) == (NOON, NOON + YOUNG)


async def test_an_event_that_no_webhook_brings_is_never_missed(
    readings: Readings, books: Books
) -> None:
    assert await readings.read_all("a", minutes_old=None) == (1, 0, 0)
    assert await books.db.fetchval("select made_at from fleet.found_events") is None


async def test_a_clock_that_was_set_back_leaves_the_watermark_and_skips_nothing(
    readings: Readings, books: Books
) -> None:
    await readings.run_for_long()
    books.wait(days=-1)
    reading = await readings.begin()
    assert (reading["from_at"], reading["to_at"]) == (books.now - HOUR, books.now - YOUNG)
    await readings.store(reading, "a", reaches=books.now)
    await readings.finish(reading)
    assert await readings.watermark() == NOON - YOUNG
    # Set right: it goes on from where it really was.
    books.now = NOON + HOUR
    assert (await readings.begin())["from_at"] == NOON - YOUNG - HOUR


async def test_what_the_provider_lists_no_more_is_said(readings: Readings, books: Books) -> None:
    await readings.read_all()
    books.wait(days=30)
    assert (await readings.begin())["lost_from"] is None
    await readings.read_all(reaches=NOON)
    books.wait(days=1)
    reading = await readings.begin()
    assert (reading["lost_from"], reading["from_at"]) == (NOON, books.now - MONTH)


async def test_what_a_person_asks_for_leaves_the_timetables_watermark(
    readings: Readings, books: Books
) -> None:
    await readings.read_all()
    since = NOON - timedelta(days=3)
    asked = await readings.begin(since)
    assert (asked["from_at"], asked["to_at"]) == (since, books.now)
    await readings.store(asked, "a", cursor="after a", reaches=books.now)
    assert await readings.watermark() == NOON
    # The same question goes on, another one begins.
    assert (await readings.begin(since))["cursor"] == "after a"
    assert (await readings.begin(since + HOUR))["id"] != asked["id"]
    assert await readings.finish(await readings.begin(since))
    assert (await readings.begin(since))["id"] != asked["id"]


async def test_each_provider_has_its_own_watermark(readings: Readings, books: Books) -> None:
    await readings.run_for_long()
    books.wait(hours=2)
    assert (await readings.begin(provider="apple"))["from_at"] == books.now
    assert (await readings.begin())["from_at"] == NOON - YOUNG - HOUR


async def test_an_unknown_provider_is_refused(readings: Readings) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await readings.begin(provider="paypal")


async def test_statuses_tell_what_was_missed_and_how_far_it_is_read(
    readings: Readings, books: Books
) -> None:
    await readings.read_all("a", "b")
    asked = await readings.begin(NOON - 24 * HOUR)
    await readings.store(asked, "c")
    (status,) = await books.db.fetch(
        "select *, reached_s - extract(epoch from clock_timestamp() - $1) as off_s"
        " from fleet.backfill_statuses()",
        NOON,
    )
    assert (status["provider"], status["found"], status["missed"]) == ("stripe", 3, 3)
    assert abs(status["off_s"]) < 60
    assert status["newest_missed_s"] is not None
    assert (status["failing_s"], status["last_error"]) == (None, None)


async def test_two_workers_that_begin_at_once_have_one_reading(
    connect: Connect, db: Connection
) -> None:
    one, two = await connect("worker"), await connect("worker")
    begun = await asyncio.gather(*(begin(each, NOON, worker=f"{each}") for each in (one, two)))
    found = [row for row in begun if row is not None]
    assert {row["id"] for row in found} == {found[0]["id"]}
    stored = [await store(db, NOON, row, "a") for row in found]
    assert sum(row is not None for row in stored) == 1


async def test_a_webhook_and_a_backfill_at_once_store_an_event_once(
    connect: Connect, db: Connection, web_pool: Pool
) -> None:
    worker = await connect("worker")
    reading = await begin(worker, NOON)
    assert reading is not None
    transaction = db.transaction()
    await transaction.start()
    await db.execute(
        "select fleet.store_events('{stripe}', '{a}', '{x}', '{a}', '{a}', '{pending}', '{null}')"
    )
    async with blocked(db, worker, store(worker, NOON, reading, "a", "b")) as storing:
        await transaction.commit()
        stored = await storing
    assert stored is not None
    assert tuple(stored) == (1, 1, 1)
    assert await store_arrivals(web_pool, [arrival("b")]) == [Stored.CONFLICT]
    assert await db.fetchval("select count(*) from fleet.inbox_events") == 2


async def order(books: Books, days_ago: int, number: int) -> None:
    """Write a purchase of Google's with its token and its order."""
    profile_id = await books.profile()
    await books.db.execute(
        "insert into public.coin_purchases (profile_id, provider, provider_event_id,"
        " provider_payment_id, payment_id, coin_amount, amount_minor, currency, status,"
        " requires_approval, hold_reason, purchased_at)"
        " values ($1, 'google', $2, $2, $3, 1, 1, 'usd', 'pending', true, 'over_limit', $4)",
        profile_id,
        f"token {number}",
        number,
        books.now - timedelta(days=days_ago),
    )
    await books.db.execute(
        "insert into fleet.payment_keys (provider, key, payment_id)"
        " values ('google', $1, $3), ('google', $2, $3)",
        f"token {number}",
        f"GPA.{number}",
        number,
    )
    await books.db.execute(
        "insert into fleet.store_payments (payment_id, provider, store_app, told_at)"
        " values ($1, 'google', $2, now())",
        number,
        f"app {number}",
    )


async def test_known_orders_are_those_of_60_days_the_oldest_first(db: Connection) -> None:
    books = Books(db)
    books.now = datetime.now(UTC)
    for number, days_ago in enumerate((61, 59, 1, 30), start=1):
        await order(books, days_ago, number)
    found = await read_known_orders(db, None, 2)
    assert [(each.order_id, each.store_app) for each in found] == [
        ("GPA.2", "app 2"),
        ("GPA.4", "app 4"),
    ]
    more = await read_known_orders(db, found[-1], 2)
    assert [order.order_id for order in more] == ["GPA.3"]
    assert await read_known_orders(db, more[-1], 2) == []
