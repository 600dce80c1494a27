"""What the app is told of what is held: once when it is held, and once when that ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.db.books import Outcome, Payment
from tests.db.deliveries.messages import DOLLARS, held

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.deliveries.messages import Messages

pytestmark = pytest.mark.requirement("I2")


async def test_a_held_purchase_is_told_with_its_reason(books: Books, messages: Messages) -> None:
    _, purchase_id = await held(books, buyer_coins=3)
    message = await messages.newest()
    assert (message.key, message.type) == (f"purchase-held-{purchase_id}", "purchase.held")
    assert message.data["reason"] == "needs_approval"
    told = {name: message.data[name] for name in ("coins", "coin_balance", "seq", "status")}
    assert told == {"coins": 3_000_000, "coin_balance": 3, "seq": None, "status": "pending"}


async def test_an_approval_is_told_as_credited(books: Books, messages: Messages) -> None:
    _, purchase_id = await held(books)
    await messages.are_sent()
    await books.db.execute("select * from approve_coin_purchase($1, 'me', 'why')", purchase_id)
    assert await messages.types() == ["purchase.held", "purchase.credited"]


async def test_an_approval_after_a_partial_refund_tells_both(
    books: Books, messages: Messages
) -> None:
    payment, purchase_id = await held(books)
    await messages.are_sent()
    await books.apply_one(payment.refund(1_000_000))
    await books.db.execute("select * from approve_coin_purchase($1, 'me', 'why')", purchase_id)
    assert await messages.types() == ["purchase.held", "purchase.credited", "purchase.reversed"]


async def test_a_first_approval_of_two_tells_nothing(books: Books, messages: Messages) -> None:
    await books.db.execute("update fleet.settings set second_approver_above_usd = 1")
    _, purchase_id = await held(books)
    await books.db.execute("select * from approve_coin_purchase($1, 'me', 'why')", purchase_id)
    assert await messages.types() == ["purchase.held"]


@pytest.mark.parametrize("without_refund", [False, True])
async def test_a_rejection_is_told_once_when_it_is_decided(
    books: Books, messages: Messages, *, without_refund: bool
) -> None:
    payment, purchase_id = await held(books)
    await messages.are_sent()
    await books.db.execute(
        "select * from reject_coin_purchase($1, 'me', 'why', $2)", purchase_id, without_refund
    )
    message = await messages.newest()
    assert (message.type, message.data["reason"]) == ("purchase.rejected", "by_decision")
    # Its refund, and the failure of that, change nothing that the app has to know.
    whole = DOLLARS * 100
    await books.apply_one(payment.refund(whole))
    await books.apply_one(
        payment.refund(whole, status="failed", told_at=books.now + timedelta(hours=1))
    )
    assert await messages.types() == ["purchase.held", "purchase.rejected"]


async def test_an_expired_hold_is_told_as_rejected(books: Books, messages: Messages) -> None:
    await books.db.execute("update fleet.settings set hold_expires_days = 1")
    await held(books)
    await messages.are_sent()
    later = datetime.now(UTC) + timedelta(days=2)
    await books.db.execute("select * from fleet.expire_hold($1)", later)
    assert await messages.types() == ["purchase.held", "purchase.rejected"]


async def test_a_held_purchase_whose_money_went_back_is_told_as_rejected(
    books: Books, messages: Messages
) -> None:
    payment, _ = await held(books)
    await messages.are_sent()
    await books.apply_one(payment.refund(DOLLARS * 100))
    message = await messages.newest()
    assert (message.type, message.data["reason"]) == ("purchase.rejected", "refunded_while_held")


async def test_a_purchase_that_is_held_again_is_told_again(
    books: Books, messages: Messages
) -> None:
    payment, _ = await held(books)
    await messages.are_sent()
    await books.apply_one(payment.refund(DOLLARS * 100))
    later = books.now + timedelta(hours=1)
    await books.apply_one(payment.refund(DOLLARS * 100, status="failed", told_at=later))
    assert await messages.types() == ["purchase.held", "purchase.rejected", "purchase.held"]
    assert len({message.key for message in await messages.all()}) == 3


async def test_a_hold_that_ends_before_the_app_hears_of_it_is_not_told(
    books: Books, messages: Messages
) -> None:
    _, purchase_id = await held(books)
    await books.db.execute("select * from approve_coin_purchase($1, 'me', 'why')", purchase_id)
    assert await messages.types() == ["purchase.credited"]


async def test_a_hold_that_the_app_may_have_heard_of_stays_told(
    books: Books, messages: Messages
) -> None:
    _, purchase_id = await held(books)
    # It was sent once, and no answer came.
    await books.db.execute(
        "update fleet.provider_calls set attempts = 1, first_attempt_at = clock_timestamp()"
    )
    await books.db.execute("select * from approve_coin_purchase($1, 'me', 'why')", purchase_id)
    assert await messages.types() == ["purchase.held", "purchase.credited"]


async def test_a_payment_without_a_buyer_that_is_held_again_is_told_again(
    books: Books, messages: Messages
) -> None:
    payment = Payment()
    await books.apply_one(payment.bought(uuid4()))
    await messages.are_sent()
    await books.apply_one(payment.refund(100))
    later = books.now + timedelta(hours=1)
    await books.apply_one(payment.refund(100, status="failed", told_at=later))
    assert await messages.types() == ["purchase.held", "purchase.rejected", "purchase.held"]


async def test_a_purchase_that_is_judged_again_is_told_as_it_ends(
    books: Books, messages: Messages
) -> None:
    payment, buyer = Payment(), await books.profile()
    held_for = Outcome("held", "unknown_product")
    assert await books.apply_one(payment.bought(buyer, sku="new")) == held_for
    await messages.are_sent()
    # Judged again, and held for the same: nothing new.
    await books.db.execute("update fleet.inbox_events set state = 'pending', reason = null")
    await books.work()
    assert await messages.types() == ["purchase.held"]
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'new', 100, 100)"
    )
    await books.db.execute("select fleet.judge_holds_again(10, $1)", books.now)
    await books.work()
    assert await messages.types() == ["purchase.held", "purchase.credited"]


async def test_a_payment_without_a_buyer_is_told_once_as_held(
    books: Books, messages: Messages
) -> None:
    payment, stranger = Payment(), uuid4()
    (event_id,) = await books.receive(payment.bought(stranger))
    await books.work()
    await messages.are_sent()
    await books.db.execute("update fleet.inbox_events set state = 'pending', reason = null")
    await books.work()
    (message,) = await messages.all()
    assert message.type == "purchase.held"
    event = await books.event(event_id)
    assert message.data == {
        "event_id": event["provider_event_id"],
        "profile_id": None,
        "coins": None,
        "coin_balance": None,
        "seq": None,
        "purchase_id": None,
        "provider": "stripe",
        "payment_id": payment.intent,
        "reason": "unknown_buyer",
    }


@pytest.mark.parametrize("without_refund", [False, True])
async def test_a_rejected_payment_without_a_buyer_is_told_once(
    books: Books, messages: Messages, *, without_refund: bool
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(uuid4()))
    await books.work()
    await messages.are_sent()
    await books.db.execute(
        "select * from reject_held_event($1, 'me', 'why', $2)", event_id, without_refund
    )
    assert await messages.types() == ["purchase.held", "purchase.rejected"]
    assert (await messages.newest()).data["reason"] == "by_decision"
    await books.apply_one(payment.refund(100))
    assert await messages.types() == ["purchase.held", "purchase.rejected"]


async def test_a_rejected_payment_whose_refund_failed_is_told_nothing_more(
    books: Books, messages: Messages
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(uuid4()))
    await books.work()
    await books.db.execute("select * from reject_held_event($1, 'me', 'why')", event_id)
    told = await messages.types()
    await books.apply_one(payment.refund(100))
    later = books.now + timedelta(hours=1)
    await books.apply_one(payment.refund(100, status="failed", told_at=later))
    assert await books.outcome(event_id) == Outcome("held", "unknown_buyer")
    assert await messages.types() == told


async def test_a_payment_without_a_buyer_that_goes_back_is_told_as_rejected(
    books: Books, messages: Messages
) -> None:
    payment = Payment()
    await books.apply_one(payment.bought(uuid4()))
    await messages.are_sent()
    await books.apply_one(payment.refund(100))
    message = await messages.newest()
    assert (message.type, message.data["reason"]) == ("purchase.rejected", "refunded_while_held")


async def test_a_buyer_who_is_named_by_a_person_is_told(books: Books, messages: Messages) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await books.receive(payment.bought(uuid4()))
    await books.work()
    await messages.are_sent()
    await books.db.execute(
        "select * from attribute_held_event($1, $2, 'me', 'why')", event_id, buyer
    )
    books.now = datetime.now(UTC)
    await books.work()
    assert await messages.types() == ["purchase.held", "purchase.credited"]
