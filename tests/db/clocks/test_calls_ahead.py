"""Calls that a clock ahead wrote, leased or failed: each pause is as long as it was meant to be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.db.calls.outbox import KIND, LEASE_S, Outbox
from tests.db.clocks.ahead import AHEAD

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.db.books import Books

DELIVER = "app.deliver"
KINDS = pytest.mark.parametrize("kind", [KIND, DELIVER])


@pytest.fixture
def outbox(books: Books) -> Outbox:
    return Outbox(books)


async def dated_anew(books: Books) -> int:
    dated: int = await books.db.fetchval("select fleet.date_calls_anew(100, $1)", books.now)
    return dated


@AHEAD
@KINDS
async def test_a_call_that_a_clock_ahead_wrote_is_made_at_once(
    outbox: Outbox, books: Books, ahead: timedelta, kind: str
) -> None:
    right = books.now
    books.now += ahead
    call_id = await outbox.write("a", kind=kind, created_at=books.now, dated_at=books.now)
    books.now = right
    assert await dated_anew(books) == 1
    assert (await outbox.claim_one_of(kind))["id"] == call_id
    assert await dated_anew(books) == 0
    created_at = await books.db.fetchval("select created_at from fleet.provider_calls")
    assert created_at == right


@AHEAD
@KINDS
async def test_a_call_that_failed_by_a_clock_ahead_waits_for_its_own_pause(
    outbox: Outbox, books: Books, ahead: timedelta, kind: str
) -> None:
    await outbox.write("a", kind=kind, dated_at=books.now)
    right = books.now
    books.now += ahead
    failed = await outbox.fail(await outbox.claim_one_of(kind))
    assert failed is not None
    books.now = right
    await dated_anew(books)
    assert await outbox.claim(kind) == []
    books.wait(seconds=failed["pause_s"])
    await outbox.claim_one_of(kind)


@AHEAD
async def test_calls_leased_by_a_clock_ahead_hold_up_no_other_and_are_given_up_with_their_lease(
    outbox: Outbox, books: Books, ahead: timedelta
) -> None:
    for key in ("a", "b", "c"):
        await outbox.write(key, dated_at=books.now)
    right = books.now
    books.now += ahead
    assert len(await outbox.claim(limit=2, at_once=2)) == 2
    books.now = right
    assert len(await outbox.claim(limit=1, at_once=2)) == 1
    await dated_anew(books)
    assert await outbox.claim(at_once=9) == []
    books.wait(seconds=LEASE_S)
    assert len(await outbox.claim(at_once=9)) == 3


async def test_a_call_that_gives_up_has_as_much_time_as_it_was_given(
    outbox: Outbox, books: Books
) -> None:
    right, ahead = books.now, books.now + timedelta(days=2)
    hour = timedelta(hours=1)
    await outbox.write("new", created_at=ahead, dated_at=ahead, give_up_at=ahead + hour)
    await outbox.write("old", created_at=right, dated_at=ahead, give_up_at=right + hour)
    assert await dated_anew(books) == 2
    rows = await books.db.fetch("select give_up_at from fleet.provider_calls")
    assert [row["give_up_at"] for row in rows] == [right + hour] * 2


async def test_what_waits_as_long_as_it_should_is_left(outbox: Outbox, books: Books) -> None:
    later = books.now + timedelta(hours=20)
    await outbox.write("a", kind=DELIVER, next_attempt_at=later, dated_at=books.now)
    await outbox.write("an older release's", kind=DELIVER, next_attempt_at=later, dated_at=None)
    assert await dated_anew(books) == 0
    assert await outbox.claim(DELIVER) == []


async def test_a_time_without_end_stops_nothing(
    outbox: Outbox, books: Books, db: Connection
) -> None:
    await outbox.write("a", dated_at=books.now + timedelta(days=1))
    await db.execute("update fleet.provider_calls set next_attempt_at = 'infinity'")
    assert await dated_anew(books) == 1
    await outbox.claim_one()


async def test_each_time_of_a_call_is_counted_from_now(outbox: Outbox, books: Books) -> None:
    now, ahead = books.now, books.now + timedelta(days=2)
    lease = timedelta(seconds=LEASE_S)
    await outbox.write(
        "leased",
        dated_at=ahead,
        next_attempt_at=ahead + lease,
        lease_until=ahead + lease,
        first_attempt_at=ahead,
    )
    await outbox.write("due", dated_at=ahead, next_attempt_at=ahead - lease)
    await outbox.write("late", dated_at=now + timedelta(seconds=10, milliseconds=1))
    await outbox.write("in time", dated_at=now + timedelta(seconds=10))
    await outbox.write("over", state="done", dated_at=ahead)
    assert await dated_anew(books) == 3
    rows = await books.db.fetch(
        "select key, dated_at, next_attempt_at, lease_until, first_attempt_at"
        " from fleet.provider_calls where dated_at = $1 order by key",
        now,
    )
    found = {row["key"]: tuple(row)[1:] for row in rows}
    assert found.keys() == {"due", "late", "leased"}
    assert found["leased"] == (now, now + lease, now + lease, now)
    assert found["due"] == (now, now, None, None)
