"""Events received or failed by a clock that was ahead: they wait no longer than others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db import housekeeping
from tests.db.books import APPLIED, NOON, SHORT, Books, Payment, gift
from tests.db.clocks.ahead import AHEAD
from tests.db.inbox.arrivals import receive

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


@AHEAD
async def test_an_event_stored_by_a_clock_ahead_is_applied_at_once(
    books: Books, ahead: timedelta
) -> None:
    buyer = await books.profile()
    books.now = NOON + ahead
    [event_id] = await books.receive(Payment().bought(buyer))
    books.now = NOON
    assert await books.work() == {event_id: APPLIED}


@pytest.mark.parametrize("seconds", [1, 299])
async def test_an_event_of_a_clock_ahead_by_less_than_a_pause_is_applied_at_once(
    books: Books, seconds: int
) -> None:
    buyer = await books.profile()
    books.now = NOON + timedelta(seconds=seconds)
    [event_id] = await books.receive(Payment().bought(buyer))
    books.now = NOON
    assert await books.work() == {event_id: APPLIED}


@AHEAD
async def test_an_event_that_failed_by_a_clock_ahead_is_tried_again(
    books: Books, ahead: timedelta
) -> None:
    buyer = await books.profile()
    [event_id] = await books.receive(Payment().bought(buyer))
    await books.db.execute("select fleet.fail_event($1, 'boom', $2)", event_id, NOON + ahead)
    assert await books.work() == {event_id: APPLIED}


async def test_an_event_that_failed_still_has_its_pause(books: Books) -> None:
    [event_id] = await books.receive(Payment().bought(await books.profile()))
    await books.db.execute("select fleet.fail_event($1, 'boom', $2)", event_id, NOON)
    assert await books.work() == {}
    books.wait(seconds=1)
    assert await books.work() == {event_id: APPLIED}


@AHEAD
@pytest.mark.parametrize("heard_before", [True, False])
async def test_an_event_that_began_to_wait_by_a_clock_ahead_waits_as_long_as_others(
    books: Books, ahead: timedelta, *, heard_before: bool
) -> None:
    books.now = NOON + ahead
    [event_id] = await books.receive(Payment().refund(40))
    if heard_before:
        await books.work()
    books.now = NOON
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "waiting"
    books.wait(days=35, seconds=-1)
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "waiting"
    books.wait(seconds=61)
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "rejected"


@AHEAD
async def test_a_gift_received_by_a_clock_ahead_waits_five_seconds_for_its_coins(
    books: Books, ahead: timedelta
) -> None:
    sender, streamer = await books.profiles(2)
    await books.receive(Payment().bought(sender))
    books.now = NOON + ahead
    [event_id] = await books.receive(gift(sender, streamer, 5))
    books.now = NOON
    await books.wake()
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = $1 where id <> $2",
        NOON + timedelta(minutes=1),
        event_id,
    )
    books.wait(seconds=6)
    assert await books.work() == {event_id: SHORT}


@AHEAD
async def test_payloads_after_one_that_a_clock_ahead_received_are_removed_too(
    db: Connection, worker_pool: Pool, ahead: timedelta
) -> None:
    await receive(db, "ahead", days_ago=-ahead.days - 1)
    await receive(db, "old", days_ago=91)
    await receive(db, "young", days_ago=89)
    assert await housekeeping.drop_old_payloads(worker_pool) == 2


async def test_the_payload_of_the_last_event_stays_though_a_clock_ahead_received_it(
    db: Connection, worker_pool: Pool
) -> None:
    await receive(db, "ahead", days_ago=-365)
    await receive(db, "young", days_ago=89)
    assert await housekeeping.drop_old_payloads(worker_pool) == 0
