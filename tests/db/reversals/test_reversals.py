"""Refunds and disputes: coins follow the money that was taken back, in any order of events.

A payment is 100 coins for 1.00, so a cent is a coin.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from db.facts import Verdict
from tests.db.books import APPLIED, COINS, NO_PURCHASE_YET, NOON, Books, Outcome, Payment, gift

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from db.facts import Fact

pytestmark = pytest.mark.requirement("C6", "H7")

NOT_OURS = Outcome("ignored", "not_ours")


def at(minute: int) -> datetime:
    """A provider's time."""
    return NOON + timedelta(minutes=minute)


async def bought(books: Books) -> tuple[UUID, Payment]:
    """A buyer with 100 coins from one payment of 1.00."""
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    return buyer, payment


async def left_after(books: Books, payment: Payment, *facts: Fact) -> tuple[int, str]:
    """Return coins and status after these events, each in a batch of its own."""
    for fact in facts:
        assert await books.apply_one(fact) == APPLIED
    purchase = await books.purchase(payment)
    return await books.coins(purchase["profile_id"]), purchase["status"]


# Refunds


@pytest.mark.requirement("C4")
async def test_a_full_refund_takes_all_coins_back(books: Books) -> None:
    _, payment = await bought(books)
    assert await left_after(books, payment, payment.refund(100)) == (0, "refunded")


async def test_a_refund_told_again_takes_nothing_more(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.refund(40), payment.refund(40), payment.refunded_so_far(40))
    assert await left_after(books, payment, *facts) == (60, "confirmed")


async def test_partial_refunds_add_up_to_the_whole(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.refund(33, "a"), payment.refund(33, "b"), payment.refund(34, "c"))
    assert await left_after(books, payment, *facts) == (0, "refunded")


async def test_partial_refunds_in_one_batch_add_up(books: Books) -> None:
    buyer, payment = await bought(books)
    facts = (payment.refund(33, "a"), payment.refund(33, "b"), payment.refunded_so_far(20))
    assert await books.apply(*facts) == [APPLIED] * 3
    assert await books.coins(buyer) == 34


@pytest.mark.parametrize(
    ("refunded", "left"), [(1, 7), (42, 7), (43, 6), (150, 4), (299, 1), (300, 0)]
)
async def test_coins_taken_are_rounded_down(books: Books, refunded: int, left: int) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, sku="coins_7", amount_minor=300))
    assert (await left_after(books, payment, payment.refunded_so_far(refunded)))[0] == left


async def test_many_small_refunds_lose_nothing_to_rounding(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, sku="coins_7", amount_minor=300))
    refunds = [payment.refund(1, f"re{no}") for no in range(299)]
    await books.apply(*refunds[:150])
    await books.apply(*refunds[150:])
    assert await books.coins(buyer) == 1
    assert await left_after(books, payment, payment.refund(1, "last")) == (0, "refunded")


async def test_the_largest_of_the_totals_of_one_second_counts(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.refunded_so_far(70), payment.refunded_so_far(30))
    assert await left_after(books, payment, *facts) == (30, "confirmed")


@pytest.mark.parametrize("apart", [True, False])
async def test_the_newest_total_counts_whatever_comes_later(books: Books, *, apart: bool) -> None:
    facts = ((40, at(1)), (70, at(2)), (30, at(3)))
    for ordered in permutations(facts):
        buyer, payment = await bought(books)
        told = [payment.refunded_so_far(minor, told_at=when) for minor, when in ordered]
        for batch in [[fact] for fact in told] if apart else [told]:
            await books.apply(*batch)
        assert await books.coins(buyer) == 70


async def test_more_refunded_than_paid_takes_no_more_than_was_granted(books: Books) -> None:
    _, payment = await bought(books)
    assert await left_after(books, payment, payment.refund(1_000)) == (0, "refunded")


@pytest.mark.parametrize("status", ["pending", "requires_action"])
async def test_a_refund_on_its_way_takes_coins_already(books: Books, status: str) -> None:
    _, payment = await bought(books)
    assert await left_after(books, payment, payment.refund(100, status=status)) == (0, "refunded")


@pytest.mark.parametrize("status", ["failed", "canceled"])
async def test_a_refund_that_failed_gives_coins_back(books: Books, status: str) -> None:
    buyer, payment = await bought(books)
    facts = (
        payment.refund(100),
        payment.refunded_so_far(100),
        payment.refund(100, status=status, told_at=at(1)),
    )
    assert await left_after(books, payment, *facts) == (COINS, "confirmed")
    assert await books.entries(buyer) == [
        ("purchase", 100),
        ("refund", -100),
        ("reinstatement", 100),
    ]


async def test_a_failed_refund_beside_another_leaves_the_other(books: Books) -> None:
    _, payment = await bought(books)
    facts = (
        payment.refund(30, "stands"),
        payment.refund(50, "fails"),
        payment.refunded_so_far(80),
        payment.refund(50, "fails", status="failed", told_at=at(1)),
    )
    assert await left_after(books, payment, *facts) == (70, "confirmed")


async def test_the_events_of_a_failing_refund_end_alike_in_every_order(books: Books) -> None:
    for ordered in permutations(range(4)):
        buyer, payment = await bought(books)
        facts = (
            payment.refund(60, status="pending"),
            payment.refund(60, status="succeeded"),
            payment.refund(60, status="failed", told_at=at(1)),
            payment.refunded_so_far(60),
        )
        for no in ordered:
            await books.apply_one(facts[no])
        assert await books.coins(buyer) == COINS


async def test_a_refund_whose_events_disagree_counts_with_its_largest_amount(books: Books) -> None:
    for ordered in permutations(range(3)):
        buyer, payment = await bought(books)
        facts = (
            payment.refund(50, status="pending"),
            payment.refund(40, status="succeeded"),
            payment.refund(30, status="pending"),
        )
        for no in ordered:
            await books.apply_one(facts[no])
        assert await books.coins(buyer) == 50
        together_buyer, together = await bought(books)
        await books.apply(together.refund(30), together.refund(50, status="pending"))
        assert await books.coins(together_buyer) == 50


async def test_spent_coins_become_a_debt_and_the_streamer_keeps_what_was_earned(
    books: Books,
) -> None:
    buyer, payment = await bought(books)
    streamer = await books.profile()
    await books.apply_one(gift(buyer, streamer, 100))
    assert await left_after(books, payment, payment.refund(100)) == (-100, "refunded")
    assert await books.earnings(streamer) == 70


async def test_a_refund_of_spent_coins_leaves_the_platform_its_share_of_gifts(books: Books) -> None:
    buyer, payment = await bought(books)
    await books.apply_one(gift(buyer, await books.profile(), 100))
    await books.apply_one(payment.refund(100))
    shares = "select sum(amount) from public.ledger_entries where account = 'platform_revenue'"
    assert await books.db.fetchval(shares) == 30


# Before the purchase


@pytest.mark.parametrize("apart", [True, False])
async def test_a_refund_before_its_purchase_ends_the_same(books: Books, *, apart: bool) -> None:
    buyer, payment = await books.profile(), Payment()
    (refund,) = await books.receive(payment.refund(40))
    if apart:
        assert await books.work() == {refund: NO_PURCHASE_YET}
    (purchase,) = await books.receive(payment.bought(buyer))
    assert (await books.work())[purchase] == APPLIED
    assert await books.outcome(refund) == APPLIED
    assert await books.coins(buyer) == 60


async def test_every_reversal_that_waited_is_applied_with_the_purchase(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    waiting = await books.receive(
        payment.refund(10), payment.refunded_so_far(20), payment.dispute(30, -30)
    )
    assert set((await books.work()).values()) == {NO_PURCHASE_YET}
    await books.apply_one(payment.bought(buyer))
    assert [await books.outcome(event_id) for event_id in waiting] == [APPLIED] * 3
    assert await books.coins(buyer) == 50


async def test_a_reversal_that_waited_35_days_is_rejected(books: Books) -> None:
    (refund,) = await books.receive(Payment().refund(40))
    await books.work()
    books.wait(days=34, hours=23)
    assert await books.wake() == 0
    # Nor is it rejected if a person has it tried again before.
    await books.try_again(refund)
    assert await books.work() == {refund: NO_PURCHASE_YET}
    books.wait(hours=1)
    assert await books.wake() == 1
    assert await books.work() == {refund: Outcome("rejected", "no_purchase")}


async def test_a_purchase_after_its_refund_was_rejected_still_counts_it(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.refund(40))
    books.wait(days=35)
    await books.wake()
    await books.work()
    await books.apply_one(payment.bought(buyer))
    assert await books.coins(buyer) == 60


# Disputes


async def test_an_inquiry_takes_nothing(books: Books) -> None:
    _, payment = await bought(books)
    assert await left_after(books, payment, payment.dispute(100)) == (COINS, "confirmed")


async def test_withdrawn_funds_take_the_coins_and_a_lost_dispute_no_more(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.dispute(100), payment.dispute(100, -93), payment.dispute(100, -93))
    assert await left_after(books, payment, *facts) == (0, "chargeback")


async def test_reinstated_funds_give_the_coins_back(books: Books) -> None:
    buyer, payment = await bought(books)
    facts = (payment.dispute(100, -93), payment.dispute(100, -93, 93))
    assert await left_after(books, payment, *facts) == (COINS, "confirmed")
    reasons = [reason for reason, _ in await books.entries(buyer)]
    assert reasons == ["purchase", "chargeback", "reinstatement"]


async def test_a_won_dispute_ends_alike_when_its_events_come_in_reverse(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.dispute(100, -93, 93), payment.dispute(100, -93), payment.dispute(100))
    assert await left_after(books, payment, *facts) == (COINS, "confirmed")


@pytest.mark.parametrize(
    ("moved", "left"),
    [
        ((-93, 31), 34),  # a third came back: 66.67 coins are missing, 66 are taken
        ((-93, 93, -93), 0),
        ((-93, 93, 1), 100),
        ((-93, -93), 0),
        ((93,), 100),
        ((-1, 0), 0),
    ],
)
async def test_only_the_ratio_of_a_disputes_transactions_counts(
    books: Books, moved: tuple[int, ...], left: int
) -> None:
    buyer, payment = await bought(books)
    await books.apply_one(payment.dispute(100, *moved))
    assert await books.coins(buyer) == left


async def test_thirds_of_three_disputes_are_the_whole(books: Books) -> None:
    buyer, payment = await bought(books)
    thirds = [payment.dispute(100, -3, 2, dispute_id=f"dp{no}") for no in range(3)]
    assert await left_after(books, payment, *thirds) == (0, "chargeback")
    assert await books.coins(buyer) == 0


async def test_a_part_that_is_a_whole_number_of_coins_is_not_lost_to_thirds(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, units=3))
    await books.apply_one(payment.dispute(100, -3, 2))
    await books.apply_one(payment.dispute(200, -3, 1, dispute_id="other"))
    # A third of 1.00 and two thirds of 2.00 are 166.67 coins.
    assert await books.coins(buyer) == 300 - 166
    await books.apply_one(payment.dispute(100, -3, 1, dispute_id="last"))
    # Two thirds of 1.00 more make 233.33.
    assert await books.coins(buyer) == 300 - 233


async def test_a_refund_and_a_dispute_together_take_no_more_than_all(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.refund(40), payment.dispute(100, -100))
    assert await left_after(books, payment, *facts) == (0, "chargeback")


async def test_a_refund_beside_a_dispute_that_was_won_stands_alone(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.refund(40), payment.dispute(100, -100), payment.dispute(100, -100, 100))
    assert await left_after(books, payment, *facts) == (60, "confirmed")


@pytest.mark.requirement("C4")
async def test_a_refunded_payment_whose_dispute_is_won_becomes_refunded(books: Books) -> None:
    _, payment = await bought(books)
    facts = (payment.dispute(100, -100), payment.refund(100))
    assert await left_after(books, payment, *facts) == (0, "chargeback")
    assert await left_after(books, payment, payment.dispute(100, -100, 100)) == (0, "refunded")


# Payments that are not ours


async def test_the_reversal_of_a_foreign_payment_is_ignored(books: Books) -> None:
    payment = Payment()
    assert await books.apply(payment.not_ours(), payment.refund(40)) == [NOT_OURS] * 2
    assert await books.apply_one(payment.dispute(100, -100)) == NOT_OURS


async def test_a_reversal_that_waited_is_ignored_when_its_payment_turns_out_foreign(
    books: Books,
) -> None:
    payment = Payment()
    (refund,) = await books.receive(payment.refund(40))
    assert await books.work() == {refund: NO_PURCHASE_YET}
    await books.apply_one(payment.not_ours())
    assert await books.outcome(refund) == NOT_OURS


async def test_a_reversal_that_waited_is_ignored_when_a_later_one_shows_it_to_be_foreign(
    books: Books,
) -> None:
    payment = Payment()
    (early,) = await books.receive(payment.refund(40, payment_keys=[payment.charge]))
    assert await books.work() == {early: NO_PURCHASE_YET}
    await books.apply(Verdict(state="ignored", reason="not_ours", payment_keys=[payment.intent]))
    await books.apply(payment.refunded_so_far(40))
    assert await books.outcome(early) == Outcome("ignored", "not_ours")


async def test_a_payment_that_seemed_foreign_is_ours_once_an_event_says_so(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply(payment.not_ours(), payment.refund(40))
    await books.apply_one(payment.bought(buyer))
    assert await books.coins(buyer) == 60
    assert await left_after(books, payment, payment.refund(10, "other")) == (50, "confirmed")


async def test_a_half_of_our_metadata_makes_a_payment_ours_and_its_refund_waits(
    books: Books,
) -> None:
    payment = Payment()
    await books.apply(Verdict(state="ignored", reason="not_ours", payment_keys=[payment.intent]))
    (refund,) = await books.receive(payment.refund(40, payment_keys=[payment.charge]))
    await books.work()
    await books.apply_one(payment.bought(None))
    assert await books.outcome(refund) == NO_PURCHASE_YET
    assert await books.breaches() == {}


async def test_an_event_without_metadata_does_not_make_our_payment_foreign(books: Books) -> None:
    _, payment = await bought(books)
    await books.apply_one(payment.not_ours())
    assert await left_after(books, payment, payment.refund(40)) == (60, "confirmed")
