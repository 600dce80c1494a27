"""An event is held for want of a buyer: a person says whose payment it is, or rejects it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.db.approvals.decisions import BY_DECISION, calls, event_number
from tests.db.books import (
    APPLIED,
    COINS,
    NO_PURCHASE_YET,
    NOON,
    PRICE_MINOR,
    Books,
    Outcome,
    Payment,
)

if TYPE_CHECKING:
    from db.facts import Purchase

pytestmark = pytest.mark.requirement("C7", "H10")

UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
LATER = NOON + timedelta(minutes=1)


def of_nobody(payment: Payment, **changes: Any) -> Purchase:
    """A payment that names a buyer whom we cannot read."""
    return payment.bought(None, buyer_unreadable=True, **changes)


async def held(books: Books, *purchases: Purchase) -> list[int]:
    """Events that are held for want of a buyer."""
    event_ids = await books.receive(*purchases)
    await books.work()
    assert [await books.outcome(event_id) for event_id in event_ids] == [UNKNOWN_BUYER] * len(
        purchases
    )
    return event_ids


async def attribute(books: Books, event_id: int, profile_id: UUID, who: str = "ann") -> Any:
    return await books.db.fetchrow(
        "select * from public.attribute_held_event($1, $2, $3, 'the receipt says so')",
        event_id,
        profile_id,
        who,
    )


async def reject(
    books: Books, event_id: int, who: str = "ann", *, without_refund: bool = False
) -> Any:
    return await books.db.fetchrow(
        "select * from public.reject_held_event($1, $2, 'nobody knows whose it is', $3)",
        event_id,
        who,
        without_refund,
    )


async def refused(code: str, decision: object) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await decision  # type: ignore[misc]
    assert caught.value.sqlstate == code


async def test_a_person_says_whose_payment_it_is(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await held(books, of_nobody(payment))
    answer = await attribute(books, event_id, buyer)
    assert (answer["event_id"], answer["state"], answer["waits_for"]) == (
        event_id,
        "pending",
        "judgement",
    )
    assert await books.work() == {event_id: APPLIED}
    assert await books.coins(buyer) == COINS


async def test_a_person_says_whose_it_is_of_two_buyers(books: Books) -> None:
    payment = Payment()
    buyer, other = await books.profiles(2)
    first, second = await held(books, payment.bought(buyer), payment.bought(other))
    await attribute(books, second, buyer)
    assert await books.work() == {second: APPLIED}
    assert await books.outcome(first) == Outcome("applied", "duplicate_payment")
    assert (await books.coins(buyer), await books.coins(other)) == (COINS, 0)


async def test_a_payment_of_a_stranger_is_attributed_to_somebody(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await held(books, payment.bought(uuid4()))
    await attribute(books, event_id, buyer)
    assert await books.work() == {event_id: APPLIED}
    assert await books.coins(buyer) == COINS


async def test_an_attributed_payment_is_judged_by_all_rules(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await held(books, of_nobody(payment, units=30_000))
    await attribute(books, event_id, buyer)
    assert await books.work() == {event_id: Outcome("held", "needs_approval")}
    assert await books.coins(buyer) == 0


async def test_a_purchase_that_names_two_buyers_by_now_is_attributed(books: Books) -> None:
    payment = Payment()
    buyer, other = await books.profiles(2)
    (event_id,) = await books.receive(payment.bought(buyer, amount_minor=90))
    assert await books.work() == {event_id: Outcome("held", "wrong_amount")}
    await books.apply_one(payment.bought(other, amount_minor=90, deductions_minor=[-10]))
    assert await books.outcome(event_id) == UNKNOWN_BUYER
    answer = await attribute(books, event_id, other)
    assert (answer["state"], answer["reason"]) == ("applied", None)
    assert (await books.coins(buyer), await books.coins(other)) == (0, COINS)


async def test_a_purchase_that_names_two_buyers_is_not_approved_before(books: Books) -> None:
    payment = Payment()
    buyer, other = await books.profiles(2)
    await books.apply_one(payment.bought(buyer, amount_minor=90))
    await books.apply_one(payment.bought(other, amount_minor=90))
    purchase = await books.purchase(payment)
    assert purchase["hold_reason"] == "unknown_buyer"
    call = "select public.approve_coin_purchase($1, 'ann', 'why')"
    await refused("22023", books.db.execute(call, purchase["id"]))


async def test_an_attribution_is_refused(books: Books, named: object) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await held(books, of_nobody(payment))
    await refused("CF006", attribute(books, event_id, uuid4()))
    await refused("22023", attribute(books, 404, buyer))
    await attribute(books, event_id, buyer, "ann")
    await refused("CF011", attribute(books, event_id, buyer, "Ann"))
    await refused("CF012", attribute(books, event_id, buyer, "ben"))
    await refused("CF012", reject(books, event_id, "ben"))
    assert await books.work() == {event_id: APPLIED}


async def test_an_event_with_a_purchase_is_decided_by_that(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await books.receive(payment.worth(buyer, 30_000))
    await books.work()
    await refused("22023", attribute(books, event_id, buyer))
    await refused("22023", reject(books, event_id))


# Rejected


async def test_a_rejected_event_waits_for_the_refund_of_its_payment(books: Books) -> None:
    payment = Payment()
    (event_id,) = await held(books, of_nobody(payment))
    assert (await reject(books, event_id))["waits_for"] == "refund"
    (call,) = await calls(books.db)
    assert payment.intent in call["request"]
    assert await books.outcome(event_id) == UNKNOWN_BUYER
    (part,) = await books.receive(payment.refund(1, "part"))
    assert await books.work() == {part: NO_PURCHASE_YET}
    assert await books.apply_one(payment.refund(PRICE_MINOR)) == APPLIED
    assert await books.outcome(event_id) == BY_DECISION
    assert await books.outcome(part) == APPLIED


async def test_a_rejected_event_whose_refund_failed_waits_for_another(books: Books) -> None:
    payment = Payment()
    (event_id,) = await held(books, of_nobody(payment))
    await reject(books, event_id)
    await books.apply_one(payment.refund(PRICE_MINOR))
    await books.apply_one(payment.refund(PRICE_MINOR, status="failed", told_at=LATER))
    assert await books.outcome(event_id) == UNKNOWN_BUYER
    await books.apply_one(payment.refund(PRICE_MINOR, "other", told_at=LATER))
    assert await books.outcome(event_id) == BY_DECISION


async def test_a_rejected_event_without_refund_closes_at_once(books: Books) -> None:
    payment = Payment()
    (event_id,) = await held(books, of_nobody(payment))
    (part,) = await books.receive(payment.refund(1, "part"))
    await books.work()
    answer = await reject(books, event_id, without_refund=True)
    assert (answer["state"], answer["reason"], answer["waits_for"]) == (*BY_DECISION, None)
    assert await books.outcome(part) == APPLIED
    assert await calls(books.db) == []
    assert await books.apply_one(payment.refund(2, "later")) == APPLIED


@pytest.mark.parametrize("without_refund", [True, False])
async def test_no_event_of_a_rejected_payment_buys_anything(
    books: Books, *, without_refund: bool
) -> None:
    payment, buyer = Payment(), await books.profile()
    (event_id,) = await held(books, of_nobody(payment))
    await reject(books, event_id, without_refund=without_refund)
    before = await books.outcome(event_id)
    assert await books.apply(payment.bought(buyer), payment.bought(buyer)) == [BY_DECISION] * 2
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    assert (await books.work())[event_id] == before
    call = "select public.process_coin_purchase($1, 'stripe', 'evt', $2, 100, 1)"
    await refused("CF008", books.db.execute(call, buyer, payment.intent))
    assert await books.coins(buyer) == 0


async def test_a_purchase_whose_payment_was_rejected_under_another_name_is_not_approved(
    books: Books,
) -> None:
    payment, other, buyer = Payment(), Payment(), await books.profile()
    (event_id,) = await held(books, of_nobody(payment, payment_keys=[payment.intent]))
    await books.apply_one(
        other.bought(buyer, amount_minor=90, payment_keys=[other.charge], told_by="session")
    )
    # What is known of both payments is joined with them.
    await books.apply_one(other.refunded_so_far(1, payment_keys=[other.charge]))
    await reject(books, event_id, without_refund=True)
    both = [payment.intent, other.charge]
    await books.apply_one(payment.refund(1, payment_keys=both, status="failed"))
    purchase_id = (await books.purchase(other))["id"]
    call = "select public.approve_coin_purchase($1, 'ann', 'why')"
    await refused("CF012", books.db.execute(call, purchase_id))
    call = "select public.reject_coin_purchase($1, 'ann', 'why', true)"
    await books.db.execute(call, purchase_id)
    assert await books.coins(buyer) == 0


async def test_a_rejected_event_is_tried_again_beside_its_refund_and_closed(books: Books) -> None:
    payment = Payment()
    (event_id,) = await held(books, of_nobody(payment))
    await reject(books, event_id)
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    await books.apply_one(payment.refund(PRICE_MINOR))
    assert await books.outcome(event_id) == BY_DECISION


async def test_a_rejected_payment_is_not_judged_again(books: Books) -> None:
    payment, buyer = Payment(), uuid4()
    (event_id,) = await held(books, payment.bought(buyer))
    await reject(books, event_id)
    await books.db.execute("insert into auth.users (id) values ($1)", buyer)
    assert await books.db.fetchval("select fleet.judge_holds_again(500, $1)", books.now) == 0
    assert await books.outcome(event_id) == UNKNOWN_BUYER


async def test_a_rejection_of_an_event_is_refused(books: Books, named: object) -> None:
    payment = Payment()
    (event_id,) = await held(books, of_nobody(payment))
    await refused("22023", reject(books, 404))
    await reject(books, event_id, "ann")
    await refused("CF011", reject(books, event_id, "ann"))
    await refused("CF012", reject(books, event_id, "ben"))


async def test_an_event_whose_ids_clash_is_rejected_without_refund_only(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    call = "select public.process_coin_purchase($1, 'app', 'evt', $2, 100, 1)"
    await books.db.execute(call, buyer, payment.intent)
    assert await books.apply_one(payment.bought(buyer)) == Outcome("held", "id_conflict")
    event_id = await event_number(books, payment)
    await refused("22023", reject(books, event_id))
    assert (await reject(books, event_id, without_refund=True))["state"] == "rejected"
    assert await books.coins(buyer) == COINS
