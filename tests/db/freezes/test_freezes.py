"""Freezes: which coins can't be given away, since when and until when.

A payment is 1,000 coins for 10.00, so a cent is a coin.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from tests.db.books import APPLIED, NO_PURCHASE_YET, NOON, SHORT, Books, Outcome, Payment, gift
from tests.db.freezes.freezing import LATER, bought, frozen, released_by

pytestmark = pytest.mark.requirement("C6")

CLOSE = "select fleet.close_double_grant($1, false, 'ann', 'both paid')"
INQUIRY = {"status": "warning_needs_response", "dispute_id": "du"}


async def test_a_gift_beyond_what_is_not_frozen_is_refused(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.adjust(buyer, 50)
    assert await books.apply_one(payment.freeze()) == APPLIED
    assert await books.apply(
        gift(buyer, friend, 51), gift(buyer, friend, 50), gift(buyer, friend, 1)
    ) == [SHORT, APPLIED, SHORT]
    assert await books.coins(buyer) == 1_000
    assert await books.entries(buyer) == [("purchase", 1_000), ("adjustment", 50), ("gift", -50)]


async def test_a_freeze_takes_no_coin_and_its_end_gives_all_back(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.apply_one(payment.review())
    assert (await books.coins(buyer), await books.status(payment)) == (1_000, "confirmed")
    assert await books.apply_one(gift(buyer, friend)) == SHORT
    await books.apply_one(payment.review(is_open=False, told_at=LATER))
    assert await released_by(books, payment) == ["review"]
    assert await books.apply_one(gift(buyer, friend, 1_000)) == APPLIED


async def test_several_freezes_of_a_payment_freeze_its_coins_once(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.adjust(buyer, 10)
    await books.apply(payment.freeze(), payment.review(), payment.dispute(1_000, **INQUIRY))
    assert await frozen(books, buyer) == 1_000
    assert await books.apply_one(gift(buyer, friend, 10)) == APPLIED
    await books.apply_one(payment.review(is_open=False, told_at=LATER))
    assert await frozen(books, buyer) == 1_000


async def test_an_inquiry_freezes_until_it_is_closed(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.dispute(1_000, **INQUIRY))
    assert (await frozen(books, buyer), await books.coins(buyer)) == (1_000, 1_000)
    closed = INQUIRY | {"status": "warning_closed"}
    await books.apply_one(payment.dispute(1_000, **closed, told_at=LATER))
    assert await frozen(books, buyer) == 0
    assert await released_by(books, payment) == ["inquiry"]


async def test_an_inquiry_that_becomes_a_dispute_takes_what_it_froze(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply(payment.freeze(), payment.dispute(1_000, **INQUIRY))
    disputed = INQUIRY | {"status": "needs_response"}
    await books.apply_one(payment.dispute(1_000, -1_000, **disputed, told_at=LATER))
    assert (await frozen(books, buyer), await books.coins(buyer)) == (0, 0)
    assert await released_by(books, payment) == ["dispute", "inquiry"]


async def test_a_refund_since_then_releases_and_one_of_before_does_not(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    early = payment.refund(100, "re_a", refund_created_at=NOON - timedelta(minutes=1))
    await books.apply(payment.freeze(), early, payment.refunded_so_far(100, told_at=LATER))
    assert (await frozen(books, buyer), await books.coins(buyer)) == (900, 900)
    await books.apply_one(payment.refund(200, "re_b", refund_created_at=LATER, told_at=LATER))
    assert (await frozen(books, buyer), await books.coins(buyer)) == (0, 700)
    assert await released_by(books, payment) == ["refund"]


async def test_a_total_of_refunds_that_was_told_since_releases(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply(payment.freeze(), payment.refunded_so_far(100, told_at=LATER))
    assert await frozen(books, buyer) == 0


async def test_a_refund_that_fails_freezes_again(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply(payment.freeze(), payment.refund(400, told_at=LATER, refund_created_at=LATER))
    assert (await frozen(books, buyer), await books.coins(buyer)) == (0, 600)
    even_later = LATER + timedelta(hours=1)
    await books.apply_one(
        payment.refund(400, status="failed", told_at=even_later, refund_created_at=LATER)
    )
    assert (await frozen(books, buyer), await books.coins(buyer)) == (1_000, 1_000)
    assert await released_by(books, payment) == [None]


async def test_a_payment_that_went_back_whole_has_nothing_to_freeze(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.refund(1_000, refund_created_at=NOON - timedelta(days=1)))
    assert await books.apply_one(payment.freeze()) == APPLIED
    assert await frozen(books, buyer) == 0
    assert await released_by(books, payment) == ["refund"]


async def test_a_freeze_before_its_purchase_waits_and_freezes_it(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    (event_id,) = await books.receive(payment.freeze())
    assert (await books.work())[event_id] == NO_PURCHASE_YET
    buyer = await books.profile()
    # In one batch: the gift comes after the purchase, and can't spend it.
    assert await books.apply(payment.bought(buyer, units=10), gift(buyer, friend)) == [
        APPLIED,
        SHORT,
    ]
    assert await books.outcome(event_id) == APPLIED
    assert await frozen(books, buyer) == 1_000


async def test_a_freeze_counts_for_the_gifts_of_its_batch(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    assert await books.apply(gift(buyer, friend), payment.freeze()) == [SHORT, APPLIED]


async def test_a_freeze_of_a_payment_that_is_not_ours_is_ignored(books: Books) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.freeze())
    await books.work()
    await books.apply_one(payment.not_ours())
    assert await books.outcome(event_id) == Outcome("ignored", "not_ours")
    assert await books.apply_one(payment.review()) == Outcome("ignored", "not_ours")


async def test_a_freeze_without_a_purchase_is_ignored_after_35_days(books: Books) -> None:
    (event_id,) = await books.receive(Payment().freeze())
    await books.work()
    books.wait(days=36)
    await books.wake()
    assert (await books.work())[event_id] == Outcome("ignored", "no_purchase")


async def test_what_is_approved_while_it_is_frozen_is_frozen(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.worth(buyer, 30_000))
    assert await books.apply_one(payment.review()) == APPLIED
    assert await frozen(books, buyer) == 0
    purchase = await books.purchase(payment)
    await books.db.execute(
        "select public.approve_coin_purchase($1, null, 'checked')", purchase["id"]
    )
    assert (await books.coins(buyer), await frozen(books, buyer)) == (3_000_000, 3_000_000)


async def test_the_newest_event_of_a_review_counts_in_any_order(books: Books) -> None:
    for order in permutations(range(4)):
        payment, buyer = Payment(), await books.profile()
        facts = [
            payment.bought(buyer, units=10),
            payment.review(told_at=NOON - timedelta(minutes=1)),
            payment.review(),
            # In one second closed beats open.
            payment.review(is_open=False),
        ]
        for no in order:
            await books.apply(facts[no], facts[no])
        assert await frozen(books, buyer) == 0


async def test_names_that_join_bring_the_freeze_to_its_purchase(books: Books) -> None:
    payment, buyer = Payment(), await books.profile()
    bought_by_intent = payment.bought(buyer, units=10, payment_keys=[payment.intent])
    frozen_by_charge = payment.freeze(payment_keys=[payment.charge])
    assert await books.apply(bought_by_intent, frozen_by_charge) == [APPLIED, NO_PURCHASE_YET]
    assert await frozen(books, buyer) == 0
    await books.apply_one(payment.review(told_at=LATER, is_open=False))
    assert await frozen(books, buyer) == 1_000


async def test_both_purchases_of_one_payment_are_frozen(books: Books) -> None:
    payment, first, second = Payment(), await books.profile(), await books.profile()
    session = f"cs_{payment.number}"
    await books.apply(
        payment.bought(first, units=10, payment_keys=[payment.intent]),
        payment.bought(second, units=10, provider_payment_id=session, payment_keys=[session]),
    )
    await books.apply_one(payment.freeze(payment_keys=[payment.intent]))
    assert (await frozen(books, first), await frozen(books, second)) == (1_000, 0)
    joining = payment.refund(0, payment_keys=[session, payment.intent], status="failed")
    await books.apply_one(joining)
    assert (await frozen(books, first), await frozen(books, second)) == (1_000, 1_000)
    newer = await books.db.fetchval("select max(id) from public.coin_purchases")
    await books.db.execute(CLOSE, newer)
