"""Calls to providers that an operator has made again: which are, which are left, what is noted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from db.operating.calls import Call, find_calls, find_dead_calls, replay_calls
from db.operating.replaying import Request
from tests.db.books import Books, Payment
from tests.db.calls.outbox import KIND, Outbox

REQUEST = Request(typed_by="ann@desk", reason="the key is right now", filter={"ids": ["1"]})

if TYPE_CHECKING:
    from tests.conftest import Connect


@pytest.fixture
def outbox(books: Books) -> Outbox:
    """An empty outbox."""
    return Outbox(books)


async def again(outbox: Outbox, *call_ids: int) -> dict[int, str]:
    """Have calls made again; it is later then."""
    skipped = await replay_calls(outbox.books.db, call_ids, REQUEST)
    outbox.books.now = await outbox.books.db.fetchval("select clock_timestamp()")
    return skipped


async def row(outbox: Outbox, call_id: int) -> Any:
    return await outbox.books.db.fetchrow(
        "select * from fleet.provider_calls where id = $1", call_id
    )


async def test_a_dead_call_is_made_again_as_one_that_was_tried(outbox: Outbox) -> None:
    call_id = await outbox.write("a", state="dead", attempts=5, failures=5, last_error="500")
    await outbox.books.db.execute("update fleet.provider_calls set first_attempt_at = created_at")
    assert await again(outbox, call_id) == {}
    call = await outbox.claim_one()
    assert (call["id"], call["is_retry"]) == (call_id, True)
    # An answer to one of the five attempts before is not taken for this one's.
    assert call["attempt"] == 6
    assert (await row(outbox, call_id))["failures"] == 0


async def test_it_has_as_much_time_as_at_first(outbox: Outbox) -> None:
    day = timedelta(days=1)
    call_id = await outbox.write(
        "a", state="dead", created_at=outbox.books.now - 9 * day, give_up_at=outbox.books.now - day
    )
    await again(outbox, call_id)
    left = (await row(outbox, call_id))["give_up_at"] - outbox.books.now
    assert 8 * day - timedelta(minutes=1) < left <= 8 * day


async def test_a_call_that_waits_for_its_next_attempt_is_made_at_once(outbox: Outbox) -> None:
    call_id = await outbox.write("a")
    await outbox.books.db.execute(
        "update fleet.provider_calls set next_attempt_at = clock_timestamp() + interval '1 hour'"
    )
    await again(outbox, call_id)
    assert (await outbox.claim_one())["id"] == call_id


async def test_what_is_done_or_in_hand_or_to_the_app_is_left(outbox: Outbox) -> None:
    done = await outbox.write("a", state="done", result=json.dumps({"refund_id": "re_1"}))
    message = await outbox.write("b", kind="app.deliver", state="dead")
    in_hand = await outbox.write("c")
    await outbox.books.db.execute(
        "update fleet.provider_calls set lease_until = 'infinity' where id = $1", in_hand
    )
    before = await outbox.books.db.fetch("select * from fleet.provider_calls order by id")
    assert await again(outbox, done, message, in_hand, 999) == {
        done: "done",
        message: "to_the_app",
        in_hand: "in_hand",
        999: "unknown",
    }
    assert await outbox.books.db.fetch("select * from fleet.provider_calls order by id") == before
    assert await outbox.books.db.fetchval("select count(*) from fleet.operator_actions") == 0


async def test_a_refund_that_came_to_nothing_is_made_again(outbox: Outbox) -> None:
    payment, books = Payment(), outbox.books
    await books.apply(payment.bought(await books.profile()))
    taken = payment.refund(100, status="pending")
    await books.apply(taken)
    call_id = await outbox.write(
        "a", kind="stripe.returns", state="done", result=json.dumps({"refund_id": taken.refund_id})
    )
    assert await again(outbox, call_id) == {call_id: "done"}
    await books.apply(payment.refund(100, status="failed"))
    assert await again(outbox, call_id) == {}
    assert (await row(outbox, call_id))["state"] == "pending"


async def test_who_had_calls_made_again_and_why_is_kept(outbox: Outbox) -> None:
    call_ids = [await outbox.write(key, state="dead") for key in "ab"]
    await again(outbox, *call_ids)
    [note] = await outbox.books.db.fetch("select * from fleet.operator_actions")
    assert (note["action"], note["typed_by"], note["reason"]) == (
        "replay calls",
        "ann@desk",
        "the key is right now",
    )
    assert (note["call_ids"], note["detail"]) == (call_ids, '{"ids": ["1"]}')


@pytest.mark.commits
async def test_two_operators_at_once_leave_one_call(outbox: Outbox, connect: Connect) -> None:
    call_id = await outbox.write("a", state="dead")
    other = await connect()
    await replay_calls(other, [call_id], REQUEST)
    (call,) = await outbox.books.db.fetch(
        "select * from fleet.claim_provider_calls('one', $1, 9, 9, 90)", [KIND]
    )
    assert call["id"] == call_id
    assert await replay_calls(outbox.books.db, [call_id], REQUEST) == {call_id: "in_hand"}


async def test_more_than_a_batch_is_refused(outbox: Outbox) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="at most 500"):
        await replay_calls(outbox.books.db, list(range(501)), REQUEST)


async def test_calls_are_found_by_state_kind_number_and_key(outbox: Outbox) -> None:
    db = outbox.books.db
    refund = await outbox.write("a", kind="stripe.returns", state="dead", last_error="404")
    order = await outbox.write("b", state="dead")
    await outbox.write("c", kind="app.deliver", state="dead")
    waits = await outbox.write("d")
    assert [call.call_id for call in await find_dead_calls(db)] == [refund, order]
    assert await find_dead_calls(db, kinds=["stripe.returns"]) == [
        Call(refund, "stripe.returns", "dead", "404")
    ]
    found = await find_calls(db, ids=[order, 999], keys=["d", "nothing"])
    assert [call.call_id for call in found] == [order, waits]
