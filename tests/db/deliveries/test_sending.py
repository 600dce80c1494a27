"""Messages in the outbox: three days of tries, a pause that a person ends, a week of memory."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.db.books import Payment
from tests.db.calls.outbox import Outbox

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.deliveries.messages import Messages

DELIVER = "app.deliver"
MINUTE_S, HOUR_S = 60, 3_600
# By the specification: at once, then after these pauses.
PAUSES_S = (
    5,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)


@pytest.fixture
def outbox(books: Books, messages: Messages) -> Outbox:
    """The outbox, by the books' clock."""
    return Outbox(books)


async def test_an_app_that_is_down_is_told_ten_times_in_three_days(
    outbox: Outbox, books: Books
) -> None:
    began = books.now
    call_id = await outbox.write("a", kind=DELIVER)
    for pause_s in PAUSES_S:
        failed = await outbox.fail(await outbox.claim_one_of(DELIVER))
        assert failed is not None
        assert pause_s * 0.9 <= failed["pause_s"] <= min(pause_s * 1.1, 24 * HOUR_S)
        books.wait(seconds=failed["pause_s"] - 1)
        # No clock that was ahead dated it: its pause may be as long as a day.
        assert await outbox.claim(DELIVER) == []
        books.wait(seconds=1)
    assert timedelta(days=2.8) < books.now - began < timedelta(days=3.5)
    assert await outbox.state(call_id) == "pending"
    await outbox.fail(await outbox.claim_one_of(DELIVER))
    assert await outbox.state(call_id) == "dead"


async def test_pauses_differ_so_that_messages_do_not_come_all_at_once(
    outbox: Outbox, books: Books
) -> None:
    for number in range(5):
        await outbox.write(str(number), kind=DELIVER)
    pauses = [await outbox.fail(call) for call in await outbox.claim(DELIVER)]
    assert len({pause["pause_s"] for pause in pauses if pause}) == 5


@pytest.mark.parametrize(("asked_s", "waited_s"), [(7 * HOUR_S, 7 * HOUR_S), (1e9, 24 * HOUR_S)])
async def test_what_the_app_asks_for_is_waited_for_up_to_a_day(
    outbox: Outbox, asked_s: float, waited_s: float
) -> None:
    await outbox.write("a", kind=DELIVER)
    failed = await outbox.fail(await outbox.claim_one_of(DELIVER), retry_after_s=asked_s)
    assert failed is not None
    assert failed["pause_s"] == waited_s


async def test_an_app_that_is_gone_gets_nothing_more_and_nothing_is_lost(
    outbox: Outbox, books: Books
) -> None:
    for key in ("a", "b"):
        await outbox.write(key, kind=DELIVER)
    await outbox.write("a refund")
    one, two = await outbox.claim(DELIVER)
    pause = "select fleet.pause_provider_calls($1, $2, '410', $3)"
    assert await books.db.fetchval(pause, one["id"], one["attempt"], books.now)
    # Only the first says so, and one of a worker that was given up says nothing.
    assert not await books.db.fetchval(pause, two["id"], two["attempt"], books.now)
    assert not await books.db.fetchval(pause, two["id"], two["attempt"] - 1, books.now)
    books.wait(days=5)
    assert await outbox.claim(DELIVER) == []
    assert len(await outbox.claim()) == 1
    await books.db.execute("delete from fleet.call_pauses")
    assert len(await outbox.claim(DELIVER)) == 2


async def test_a_message_that_was_taken_is_forgotten_after_a_week(
    outbox: Outbox, books: Books, messages: Messages
) -> None:
    await outbox.write("waits", kind=DELIVER, request=json.dumps({"type": "x"}))
    await outbox.write("dead", kind=DELIVER, request=json.dumps({"type": "x"}), state="dead")
    for days in (8, 6):
        await outbox.write(
            f"taken {days} days ago",
            kind=DELIVER,
            request=json.dumps({"type": "x"}),
            state="done",
            finished_at=books.now - timedelta(days=days),
        )
    await outbox.write(
        "a refund", request='{"a": 1}', state="done", finished_at=books.now - timedelta(days=8)
    )
    drop = "select fleet.drop_old_deliveries($1, $2)"
    assert await books.db.fetchval(drop, 10, books.now) == 1
    assert await books.db.fetchval(drop, 10, books.now) == 0
    keys = await books.db.fetch("select key from fleet.provider_calls order by id")
    assert [key for (key,) in keys] == ["waits", "dead", "taken 6 days ago", "a refund"]


async def test_a_payment_held_without_a_buyer_is_told_once_however_long_it_is_held(
    outbox: Outbox, books: Books, messages: Messages
) -> None:
    await books.apply_one(Payment().bought(None, buyer_unreadable=True))
    await messages.are_sent()
    (key,) = [message.key for message in await messages.all()]
    assert key.startswith("purchase-held-payment-")
    later = books.now + timedelta(days=8)
    assert await books.db.fetchval("select fleet.drop_old_deliveries(10, $1)", later) == 1
    assert await books.db.fetchval("select fleet.drop_old_deliveries(10, $1)", later) == 0
    await books.db.execute("update fleet.inbox_events set state = 'pending', reason = null")
    await books.work()
    rows = await books.db.fetch("select key, request from fleet.provider_calls")
    assert [tuple(row) for row in rows] == [(key, "{}")]
