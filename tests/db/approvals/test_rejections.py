"""A person rejects a held purchase: its refund is asked for, and the refund's event closes it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from db.facts import Names
from tests.db.approvals.decisions import (
    BY_DECISION,
    CLOSED,
    REFUNDING,
    calls,
    event_of,
    hold,
    reject,
)
from tests.db.books import APPLIED, DUPLICATE, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from uuid import UUID

    from db.facts import Fact

pytestmark = pytest.mark.requirement("C7", "H10")

WHOLE = 30_000_00
LATER = NOON + timedelta(minutes=1)
HELD = Outcome("held", "needs_approval")


async def held(books: Books) -> tuple[int, Payment, UUID]:
    """A purchase of 30,000.00 that waits for a person."""
    payment, buyer = Payment(), await books.profile()
    return await hold(books, payment.worth(buyer, 30_000), "needs_approval"), payment, buyer


def whole(payment: Payment, kind: str) -> Fact:
    match kind:
        case "total":
            return payment.refunded_so_far(WHOLE)
        case "dispute":
            return payment.dispute(WHOLE, -WHOLE, 20, status="lost")
        case _:
            return payment.refund(WHOLE, status="pending")


async def test_a_rejection_asks_the_provider_for_the_refund_once(books: Books) -> None:
    purchase_id, payment, _ = await held(books)
    assert await reject(books.db, purchase_id) == REFUNDING
    decision_id = await books.db.fetchval("select id from fleet.decisions")
    (call,) = await calls(books.db)
    assert (call["kind"], call["key"], call["state"]) == (
        "stripe.refund",
        f"coinfleet:refund:{decision_id}",
        "pending",
    )
    assert msgspec.json.decode(call["request"]) == {
        "payment_intent": payment.intent,
        "decision_id": decision_id,
    }
    assert await event_of(books, purchase_id) == HELD


@pytest.mark.parametrize("kind", ["refund", "total", "dispute"])
async def test_the_refunds_fact_closes_a_rejected_purchase(books: Books, kind: str) -> None:
    purchase_id, payment, buyer = await held(books)
    await reject(books.db, purchase_id)
    assert await books.apply_one(whole(payment, kind)) == APPLIED
    assert await event_of(books, purchase_id) == BY_DECISION
    purchase = await books.purchase(payment)
    assert purchase["decision"] == "rejected"
    assert purchase["status"] == ("chargeback" if kind == "dispute" else "refunded")
    assert await books.coins(buyer) == 0


async def test_a_refund_of_a_part_closes_nothing(books: Books) -> None:
    purchase_id, payment, _ = await held(books)
    await books.apply_one(payment.refund(1, "before"))
    assert await reject(books.db, purchase_id) == REFUNDING
    assert await event_of(books, purchase_id) == HELD
    await books.apply_one(payment.refund(WHOLE - 1, "rest"))
    assert await event_of(books, purchase_id) == BY_DECISION


async def test_a_rejected_purchase_whose_refund_failed_waits_for_another(books: Books) -> None:
    purchase_id, payment, buyer = await held(books)
    await reject(books.db, purchase_id)
    await books.apply_one(payment.refund(WHOLE, status="pending"))
    await books.apply_one(payment.refund(WHOLE, status="failed", told_at=LATER))
    assert await event_of(books, purchase_id) == HELD
    assert (await books.purchase(payment))["status"] == "pending"
    await books.apply_one(payment.refund(WHOLE, "other", told_at=LATER))
    assert await event_of(books, purchase_id) == BY_DECISION
    assert await books.coins(buyer) == 0


async def test_a_rejection_without_refund_closes_at_once(books: Books) -> None:
    purchase_id, payment, _ = await held(books)
    assert await reject(books.db, purchase_id, without_refund=True) == CLOSED
    assert await event_of(books, purchase_id) == BY_DECISION
    assert await calls(books.db) == []
    # Somebody refunded it by hand, and the bank refused that.
    await books.apply_one(payment.refund(WHOLE))
    await books.apply_one(payment.refund(WHOLE, status="failed", told_at=LATER))
    assert await event_of(books, purchase_id) == BY_DECISION


async def test_what_cost_nothing_has_nothing_to_refund(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    bought = payment.bought(buyer, amount_minor=0)
    purchase_id = await hold(books, bought, "wrong_amount")
    assert await reject(books.db, purchase_id) == CLOSED
    assert await event_of(books, purchase_id) == BY_DECISION
    assert await calls(books.db) == []


@pytest.mark.parametrize("provider", ["apple", "google", "app"])
async def test_what_we_cannot_refund_is_rejected_without_refund_only(
    books: Books, provider: str
) -> None:
    buyer = await books.profile()
    purchase_id = await books.db.fetchval(
        "select purchase_id from public.process_coin_purchase($1, $2, 'evt', 'pay', 3000000,"
        " 30000)",
        buyer,
        provider,
    )
    with pytest.raises(asyncpg.InvalidParameterValueError, match="without refund"):
        await reject(books.db, purchase_id)
    assert await reject(books.db, purchase_id, without_refund=True) == CLOSED


@pytest.mark.parametrize("without_refund", [True, False])
async def test_an_event_of_a_rejected_purchase_that_is_tried_again_stays_what_it_is(
    books: Books, *, without_refund: bool
) -> None:
    purchase_id, payment, buyer = await held(books)
    await reject(books.db, purchase_id, without_refund=without_refund)
    before = await event_of(books, purchase_id)
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    assert list((await books.work()).values()) == [before]
    assert before == (BY_DECISION if without_refund else HELD)
    assert await books.apply_one(payment.worth(buyer, 30_000)) == DUPLICATE
    assert await books.coins(buyer) == 0


async def test_a_rejected_event_that_is_tried_again_beside_its_refund_is_closed(
    books: Books,
) -> None:
    purchase_id, payment, _ = await held(books)
    await reject(books.db, purchase_id)
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    await books.apply_one(payment.refund(WHOLE))
    assert await event_of(books, purchase_id) == BY_DECISION


async def test_a_rejected_purchase_is_not_judged_again(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    purchase_id = await hold(books, payment.bought(buyer, sku="new"), "unknown_product")
    await reject(books.db, purchase_id)
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'new', 100, 100)"
    )
    assert await books.db.fetchval("select fleet.judge_holds_again(500, $1)", books.now) == 0
    assert await event_of(books, purchase_id) == Outcome("held", "unknown_product")


async def test_a_refund_that_the_release_before_stored_closes_a_rejected_purchase_too(
    books: Books,
) -> None:
    purchase_id, payment, _ = await held(books)
    await reject(books.db, purchase_id)
    await books.apply_one(payment.refund(WHOLE))
    await books.db.execute(
        "update fleet.inbox_events set state = 'held', reason = 'needs_approval'"
        " where state = 'rejected'"
    )
    await books.db.execute("select fleet.judge_holds_again(500, $1)", books.now)
    assert await event_of(books, purchase_id) == BY_DECISION


async def test_what_a_person_rejected_needs_nobody(books: Books) -> None:
    purchase_id, _, _ = await held(books)
    counts: list[Any] = await books.db.fetch("select * from fleet.held_counts()")
    assert [row["events"] for row in counts] == [1]
    await reject(books.db, purchase_id)
    assert await books.db.fetch("select * from fleet.held_counts()") == []


async def test_of_two_held_purchases_of_one_payment_the_rejected_one_needs_nobody(
    books: Books,
) -> None:
    purchase_id, payment, buyer = await held(books)
    other = payment.bought(buyer, units=26_000, provider_payment_id="cs_1", payment_keys=["cs_1"])
    await hold(books, other, "needs_approval")
    await books.apply_one(Names(payment_keys=[payment.intent, "cs_1"], reason="unpaid"))
    await reject(books.db, purchase_id)
    (count,) = await books.db.fetch("select events, worth_usd from fleet.held_counts()")
    assert tuple(count) == (1, 26_000)
