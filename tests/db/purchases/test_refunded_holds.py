"""A held purchase that is refunded is closed, and is held again if the refund fails.

Charges that failed after the grant are here, too: no coins are taken, and it is an alarm.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.db.books import APPLIED, COINS, NO_PURCHASE_YET, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from db.facts import Fact, Purchase

NEEDS_APPROVAL = Outcome("held", "needs_approval")
UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
REFUNDED = Outcome("applied", "refunded_while_held")
CHARGE_FAILED = Outcome("rejected", "charge_failed")
WHOLE = 30_000_00
LATER = NOON + timedelta(minutes=1)


async def held(books: Books) -> tuple[int, Payment]:
    """Apply a purchase of 30,000.00, which waits for a person; return its event's id."""
    payment = Payment()
    (event_id,) = await books.receive(payment.worth(await books.profile(), 30_000))
    assert await books.work() == {event_id: NEEDS_APPROVAL}
    return event_id, payment


def of_nobody(payment: Payment) -> Purchase:
    """Return a payment of 30,000.00 with an unreadable buyer."""
    return payment.bought(None, buyer_unreadable=True, units=30_000)


def whole(payment: Payment, kind: str) -> Fact:
    """Return a fact that refunds the whole, in one of the ways to say so."""
    match kind:
        case "total":
            return payment.refunded_so_far(WHOLE)
        case "dispute":
            return payment.dispute(WHOLE, -WHOLE, 20, status="lost")
        case "captured":
            return payment.refunded_so_far(2 * WHOLE, uncaptured_minor=WHOLE)
        case _:
            return payment.refund(WHOLE)


KINDS = ["refund", "total", "dispute", "captured"]


async def test_a_partial_refund_of_a_held_purchase_leaves_it_held(books: Books) -> None:
    event_id, payment = await held(books)
    assert await books.apply_one(payment.refund(WHOLE - 1)) == APPLIED
    assert await books.outcome(event_id) == NEEDS_APPROVAL
    assert await books.status(payment) == "pending"


@pytest.mark.requirement("C4")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_held_purchase_that_is_refunded_whole_leaves_the_queue(
    books: Books, kind: str
) -> None:
    event_id, payment = await held(books)
    assert await books.apply_one(whole(payment, kind)) == APPLIED
    assert await books.outcome(event_id) == REFUNDED
    assert await books.status(payment) == ("chargeback" if kind == "dispute" else "refunded")
    assert await books.breaches() == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("apart", [True, False])
async def test_a_purchase_that_was_refunded_before_it_is_held_is_not_held(
    books: Books, kind: str, *, apart: bool
) -> None:
    payment, buyer = Payment(), await books.profile()
    (refund,) = await books.receive(whole(payment, kind))
    if apart:
        assert await books.work() == {refund: NO_PURCHASE_YET}
    (purchase,) = await books.receive(payment.worth(buyer, 30_000))
    assert (await books.work())[purchase] == REFUNDED
    assert await books.outcome(refund) == APPLIED
    assert await books.coins(buyer) == 0
    assert await books.breaches() == {}


async def test_two_partial_refunds_close_a_hold_together(books: Books) -> None:
    event_id, payment = await held(books)
    await books.apply_one(payment.refund(WHOLE - 1, "a"))
    await books.apply_one(payment.refund(1, "b"))
    assert await books.outcome(event_id) == REFUNDED


@pytest.mark.parametrize("nobody", [True, False])
async def test_a_hold_comes_back_when_its_refund_failed(books: Books, *, nobody: bool) -> None:
    payment, buyer = Payment(), await books.profile()
    purchase = of_nobody(payment) if nobody else payment.worth(buyer, 30_000)
    (event_id,) = await books.receive(purchase)
    (before,) = (await books.work()).values()
    await books.apply_one(payment.refund(WHOLE))
    assert await books.outcome(event_id) == REFUNDED
    await books.apply_one(payment.refund(WHOLE, status="failed", told_at=LATER))
    assert await books.outcome(event_id) == before
    await books.apply_one(payment.refund(WHOLE, "other", told_at=LATER))
    assert await books.outcome(event_id) == REFUNDED
    assert await books.breaches() == {}


async def test_of_a_payments_held_events_one_comes_back_when_the_refund_failed(
    books: Books,
) -> None:
    payment = Payment()
    first, second = await books.receive(of_nobody(payment), of_nobody(payment))
    assert await books.work() == {first: UNKNOWN_BUYER, second: UNKNOWN_BUYER}
    await books.apply_one(payment.refund(WHOLE))
    assert [await books.outcome(each) for each in (first, second)] == [REFUNDED, REFUNDED]
    await books.apply_one(payment.refund(WHOLE, status="failed", told_at=LATER))
    # Somebody has to decide about the money once.
    assert [await books.outcome(each) for each in (first, second)] == [UNKNOWN_BUYER, REFUNDED]
    assert await books.breaches() == {}


async def test_a_hold_comes_back_though_its_payload_is_gone_by_then(books: Books) -> None:
    event_id, payment = await held(books)
    await books.apply_one(payment.refund(WHOLE))
    assert await books.outcome(event_id) == REFUNDED
    await books.db.execute("update fleet.inbox_events set payload = null")
    failed = payment.refund(WHOLE, status="failed", told_at=LATER)
    assert await books.apply_one(failed) == APPLIED
    assert await books.outcome(event_id) == NEEDS_APPROVAL
    assert await books.breaches() == {}


async def test_a_refunded_hold_that_is_tried_again_stays_closed(books: Books) -> None:
    event_id, payment = await held(books)
    await books.apply_one(payment.refund(WHOLE))
    await books.db.execute(
        "update fleet.inbox_events set state = 'pending' where id = $1", event_id
    )
    assert await books.work() == {event_id: REFUNDED}
    assert await books.breaches() == {}


# Held without a purchase, because the buyer is unknown


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_held_for_want_of_a_buyer_leaves_the_queue_when_refunded(
    books: Books, kind: str
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(of_nobody(payment))
    assert await books.work() == {event_id: UNKNOWN_BUYER}
    (part,) = await books.receive(payment.refund(1, "part"))
    assert await books.work() == {part: NO_PURCHASE_YET}
    assert await books.apply_one(whole(payment, kind)) == APPLIED
    assert await books.outcome(event_id) == REFUNDED
    assert await books.outcome(part) == APPLIED
    assert await books.breaches() == {}


@pytest.mark.parametrize("apart", [True, False])
async def test_a_refund_before_its_hold_for_want_of_a_buyer_ends_the_same(
    books: Books, *, apart: bool
) -> None:
    payment = Payment()
    (refund,) = await books.receive(payment.refund(WHOLE))
    if apart:
        await books.work()
    (event_id,) = await books.receive(of_nobody(payment))
    assert (await books.work())[event_id] == REFUNDED
    assert await books.outcome(refund) == APPLIED
    assert await books.breaches() == {}


@pytest.mark.parametrize("nobody", [True, False])
async def test_a_refund_beside_a_poison_event_still_closes_the_hold(
    books: Books, *, nobody: bool
) -> None:
    payment, buyer = Payment(), await books.profile()
    poison = Payment().bought(await books.unlucky())
    purchase = of_nobody(payment) if nobody else payment.worth(buyer, 30_000)
    event_id, bad, refund = await books.receive(purchase, poison, payment.refund(WHOLE))
    assert await books.work() == {
        event_id: REFUNDED,
        bad: Outcome("pending"),
        refund: APPLIED,
    }


async def test_half_a_payment_that_was_refunded_is_not_held_when_its_time_is_over(
    books: Books,
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(None, units=30_000))
    assert await books.work() == {event_id: Outcome("waiting", "incomplete_metadata")}
    (refund,) = await books.receive(payment.refund(WHOLE))
    assert await books.work() == {refund: NO_PURCHASE_YET}
    books.wait(minutes=15)
    assert await books.wake() == 1
    assert await books.work() == {event_id: REFUNDED}
    assert await books.outcome(refund) == APPLIED


async def test_a_partial_refund_waits_while_its_payment_is_held(books: Books) -> None:
    payment = Payment()
    await books.receive(of_nobody(payment), payment.refund(1))
    (refund,) = [no for no, outcome in (await books.work()).items() if outcome == NO_PURCHASE_YET]
    books.wait(days=36)
    assert await books.wake() == 1
    assert await books.work() == {refund: NO_PURCHASE_YET}


async def test_a_refund_that_waited_long_for_what_is_held_in_its_batch_waits_on(
    books: Books,
) -> None:
    payment = Payment()
    half, refund = await books.receive(payment.bought(None), payment.refund(1))
    await books.work()
    books.wait(days=36)
    assert await books.wake() == 2
    assert await books.work() == {half: UNKNOWN_BUYER, refund: NO_PURCHASE_YET}


async def test_a_buyer_who_is_found_after_the_refund_gets_nothing(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply(of_nobody(payment), payment.refund(WHOLE))
    assert await books.apply_one(payment.worth(buyer, 30_000)) == REFUNDED
    assert await books.coins(buyer) == 0
    assert await books.breaches() == {}


# Charges that failed after they had succeeded


async def test_a_charge_that_fails_after_the_grant_takes_nothing_and_is_an_alarm(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    assert await books.apply_one(payment.charge_failed()) == CHARGE_FAILED
    assert await books.coins(buyer) == COINS
    assert await books.breaches() == {}


@pytest.mark.parametrize("apart", [True, False])
async def test_a_charge_that_failed_before_its_grant_is_an_alarm_then(
    books: Books, *, apart: bool
) -> None:
    payment = Payment()
    (failure,) = await books.receive(payment.charge_failed())
    if apart:
        assert await books.work() == {failure: NO_PURCHASE_YET}
    (purchase,) = await books.receive(payment.bought(await books.profile()))
    outcomes = await books.work() | (await books.work() if apart else {})
    assert outcomes == {failure: CHARGE_FAILED, purchase: APPLIED}


async def test_a_charge_that_failed_and_bought_nothing_is_ignored(books: Books) -> None:
    payment, other = Payment(), Payment()
    (failure,) = await books.receive(payment.charge_failed())
    await books.work()
    books.wait(days=35)
    await books.wake()
    assert await books.work() == {failure: Outcome("ignored", "charge_failed")}
    not_ours = Outcome("ignored", "not_ours")
    assert await books.apply(other.not_ours(), other.charge_failed()) == [not_ours] * 2
    assert await books.breaches() == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refunded_hold_that_the_release_before_left_queued_leaves_the_queue(
    books: Books, kind: str
) -> None:
    event_id, payment = await held(books)
    await books.apply(whole(payment, kind))
    await books.db.execute(
        "update fleet.inbox_events set state = 'held', reason = 'needs_approval' where id = $1",
        event_id,
    )
    await books.db.execute("select fleet.judge_holds_again(500, $1)", books.now)
    assert await books.outcome(event_id) == REFUNDED
    # If the refund fails, a person must decide after all.
    if kind == "refund":
        await books.apply_one(payment.refund(WHOLE, status="failed"))
        await books.db.execute("select fleet.judge_holds_again(500, $1)", books.now)
        assert await books.outcome(event_id) == NEEDS_APPROVAL
