"""Purchases: granted once per payment, with the coins of the price list, or held for a person."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.db.books import APPLIED, COINS, DUPLICATE, NOON, SKU, Books, Outcome, Payment, gift

UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
UNKNOWN_PRODUCT = Outcome("held", "unknown_product")
VELOCITY = Outcome("held", "velocity")
INCOMPLETE = Outcome("waiting", "incomplete_metadata")
NEEDS_APPROVAL = Outcome("held", "needs_approval")


async def test_a_paid_package_credits_its_coins(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.coins(buyer) == COINS
    assert await books.status(payment) == "confirmed"


async def test_a_quantity_multiplies_coins_and_price(books: Books) -> None:
    buyer = await books.profile()
    assert await books.apply_one(Payment().bought(buyer, units=3)) == APPLIED
    assert await books.coins(buyer) == 3 * COINS


@pytest.mark.requirement("C3")
async def test_a_second_event_of_a_payment_credits_nothing(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.apply_one(payment.bought(buyer)) == DUPLICATE
    assert await books.coins(buyer) == COINS


@pytest.mark.requirement("C3")
async def test_the_first_of_two_events_of_a_payment_in_a_batch_grants_it(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (payment.bought(buyer), payment.bought(buyer))
    assert await books.apply(*facts) == [APPLIED, DUPLICATE]
    assert await books.coins(buyer) == COINS


async def test_two_payments_of_one_buyer_in_a_batch_are_both_granted(books: Books) -> None:
    buyer = await books.profile()
    assert await books.apply(Payment().bought(buyer), Payment().bought(buyer)) == [APPLIED] * 2
    assert await books.coins(buyer) == 2 * COINS


@pytest.mark.requirement("C8")
async def test_a_purchase_keeps_where_it_came_from(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(
        payment.bought(
            buyer,
            ip_address="2001:db8::1",
            country_code="DE",
            user_agent="Browser",
            purchased_at=NOON,
        )
    )
    kept = await books.purchase(payment)
    assert (str(kept["ip_address"]), kept["country_code"], kept["user_agent"]) == (
        "2001:db8::1",
        "DE",
        "Browser",
    )
    assert kept["purchased_at"] == NOON


async def test_an_inactive_package_still_honours_a_paid_event(books: Books) -> None:
    buyer = await books.profile()
    await books.db.execute("update public.coin_packages set active = false")
    assert await books.apply_one(Payment().bought(buyer)) == APPLIED


@pytest.mark.requirement("C9", "H6")
async def test_a_large_purchase_is_exact_to_the_coin(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'vault', 3333333333333333, 2499999)"
    )
    vault = payment.bought(buyer, sku="vault", amount_minor=2_499_999)
    assert await books.apply_one(vault) == APPLIED
    assert await books.coins(buyer) == 3_333_333_333_333_333
    assert str((await books.purchase(payment))["usd_amount"]) == "24999.99"


# Limits: a paid event is held, never lost.


@pytest.mark.requirement("C7", "H6")
@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (24_999, APPLIED),
        (25_000, APPLIED),
        (25_001, NEEDS_APPROVAL),
        (50_000, NEEDS_APPROVAL),
        (50_001, Outcome("held", "over_limit")),
    ],
)
async def test_exactly_the_threshold_needs_no_approval_and_exactly_the_limit_is_within(
    books: Books, dollars: int, expected: Outcome
) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(payment.worth(buyer, dollars)) == expected
    assert (await books.purchase(payment))["requires_approval"] == (dollars > 25_000)
    assert await books.coins(buyer) == (dollars * COINS if expected == APPLIED else 0)


@pytest.mark.requirement("C7", "H10")
@pytest.mark.parametrize(
    ("amount_minor", "expected"),
    [(25_000_01, NEEDS_APPROVAL), (50_000_01, Outcome("held", "over_limit"))],
)
async def test_a_cent_above_a_limit_is_above_it(
    books: Books, amount_minor: int, expected: Outcome
) -> None:
    buyer = await books.profile()
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'cent', 1, 1)"
    )
    purchase = Payment().bought(buyer, sku="cent", quantity=1, amount_minor=amount_minor)
    await books.db.execute("update public.coin_packages set amount_minor = $1", amount_minor)
    assert await books.apply_one(purchase) == expected


@pytest.mark.requirement("C7")
async def test_the_limits_that_the_release_wrote_apply(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute("select fleet.configure(20.00, 10.00, 5, 4)")
    assert await books.apply(payment.worth(buyer, 11), Payment().worth(buyer, 21)) == [
        NEEDS_APPROVAL,
        Outcome("held", "over_limit"),
    ]
    assert str((await books.purchase(payment))["max_purchase_limit"]) == "20.00"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sku": "nothing"}, UNKNOWN_PRODUCT),
        ({"amount_minor": 99}, Outcome("held", "wrong_amount")),
        ({"amount_minor": 101}, Outcome("held", "wrong_amount")),
        ({"quantity": 2}, Outcome("held", "wrong_amount")),
        ({"amount_minor": 0}, Outcome("held", "wrong_amount")),
        ({"currency": "eur", "amount_minor": 95}, Outcome("held", "no_fx_rate")),
        ({"amount_minor": 2**53}, Outcome("held", "wrong_amount")),
        ({"quantity": 1_000_000, "amount_minor": 100_000_000}, Outcome("held", "over_limit")),
    ],
)
async def test_a_payment_that_does_not_fit_the_price_list_is_held_and_credits_nothing(
    books: Books, changes: dict[str, Any], expected: Outcome
) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(payment.bought(buyer, **changes)) == expected
    assert await books.coins(buyer) == 0
    assert await books.status(payment) == "pending"


FREE_LIST = """
    insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency) values
        ('stripe', 'welcome', 50, 0, 'usd'), ('stripe', 'welcome', 50, 0, 'eur')
"""


@pytest.mark.parametrize("currency", ["usd", "eur"])
@pytest.mark.parametrize("units", [1, 3])
async def test_a_package_that_costs_nothing_is_granted(
    books: Books, currency: str, units: int
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute(FREE_LIST)
    free = payment.bought(buyer, sku="welcome", units=units, amount_minor=0, currency=currency)
    assert await books.apply(free, free) == [APPLIED, DUPLICATE]
    assert await books.coins(buyer) == 50 * units
    assert await books.status(payment) == "confirmed"


@pytest.mark.parametrize(
    ("currency", "sku", "amount_minor"),
    [("usd", SKU, 0), ("eur", SKU, 0), ("usd", "welcome", 1), ("gbp", "welcome", 0)],
)
async def test_a_full_discount_on_a_priced_package_is_held(
    books: Books, currency: str, sku: str, amount_minor: int
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute(FREE_LIST)
    free = payment.bought(buyer, sku=sku, amount_minor=amount_minor, currency=currency)
    assert await books.apply_one(free) == Outcome("held", "wrong_amount")
    assert await books.coins(buyer) == 0


async def test_the_sixth_order_of_nothing_in_a_minute_is_held(books: Books) -> None:
    buyer = await books.profile()
    await books.db.execute(FREE_LIST)
    orders = [Payment().bought(buyer, sku="welcome", amount_minor=0) for _ in range(6)]
    assert await books.apply(*orders) == [APPLIED] * 5 + [VELOCITY]


async def test_an_unknown_product_is_worth_no_coins(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, sku="nothing"))
    assert (await books.purchase(payment))["coin_amount"] == 0


@pytest.mark.requirement("C9")
async def test_coins_beyond_bigint_are_held_not_failed(books: Books) -> None:
    buyer = await books.profile()
    await books.db.execute("update public.coin_packages set coin_amount = 9000000000000000000")
    outcome = await books.apply_one(Payment().bought(buyer, units=2))
    assert outcome == Outcome("held", "wrong_amount")


async def test_a_second_event_of_a_held_payment_leaves_it_held(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (first,) = await books.receive(payment.worth(buyer, 30_000))
    await books.work()
    assert await books.apply_one(payment.worth(buyer, 30_000)) == DUPLICATE
    assert await books.outcome(first) == NEEDS_APPROVAL
    assert await books.coins(buyer) == 0


async def test_a_held_event_that_is_tried_again_stays_held(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (event_id,) = await books.receive(payment.worth(buyer, 30_000))
    await books.work()
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    assert await books.work() == {event_id: NEEDS_APPROVAL}


# Buyers


async def test_a_buyer_without_a_profile_is_held_without_a_purchase(books: Books) -> None:
    assert await books.apply_one(Payment().bought(uuid4())) == UNKNOWN_BUYER
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 0


async def test_a_buyer_who_is_no_uuid_is_held_at_once(books: Books) -> None:
    purchase = Payment().bought(None, buyer_unreadable=True)
    assert await books.apply_one(purchase) == UNKNOWN_BUYER


async def test_an_event_that_names_the_buyer_closes_the_held_one_that_did_not(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (nameless,) = await books.receive(payment.bought(None, buyer_unreadable=True))
    await books.work()
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.outcome(nameless) == DUPLICATE
    assert await books.coins(buyer) == COINS


# Incomplete metadata


@pytest.mark.parametrize("missing", ["profile_id", "sku"])
async def test_incomplete_metadata_wait_for_their_other_half(books: Books, missing: str) -> None:
    buyer, payment = await books.profile(), Payment()
    gap: dict[str, Any] = {missing: None}
    (half,) = await books.receive(payment.bought(buyer, **gap))
    assert await books.work() == {half: INCOMPLETE}
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.outcome(half) == DUPLICATE
    assert await books.coins(buyer) == COINS


async def test_incomplete_metadata_beside_their_other_half_are_a_duplicate(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (payment.bought(buyer, sku=None), payment.bought(buyer))
    assert await books.apply(*facts) == [DUPLICATE, APPLIED]
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize(
    ("missing", "expected"), [("profile_id", UNKNOWN_BUYER), ("sku", UNKNOWN_PRODUCT)]
)
async def test_incomplete_metadata_are_held_after_15_minutes(
    books: Books, missing: str, expected: Outcome
) -> None:
    buyer = await books.profile()
    gap: dict[str, Any] = {missing: None}
    (half,) = await books.receive(Payment().bought(buyer, **gap))
    await books.work()
    books.wait(minutes=14, seconds=59)
    assert await books.wake() == 0
    await books.try_again(half)
    assert await books.work() == {half: INCOMPLETE}
    books.wait(seconds=1)
    assert await books.wake() == 1
    assert await books.work() == {half: expected}


async def test_an_other_half_after_15_minutes_still_grants_and_closes_the_held_event(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    (half,) = await books.receive(payment.bought(buyer, sku=None))
    await books.work()
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.outcome(half) == DUPLICATE


# Debts


async def test_a_purchase_pays_a_debt_first(books: Books) -> None:
    buyer, streamer = await books.profiles(2)
    payment = Payment()
    await books.apply(payment.bought(buyer), gift(buyer, streamer, 80))
    await books.apply(payment.refunded_so_far(100))
    assert await books.coins(buyer) == -80
    assert await books.apply_one(gift(buyer, streamer)) == Outcome("rejected", "insufficient_coins")
    await books.apply_one(Payment().bought(buyer))
    assert await books.coins(buyer) == 20
    assert await books.earnings(streamer) == 56


async def test_a_purchase_that_fails_fails_alone(books: Books) -> None:
    unlucky, other = await books.unlucky(), await books.profile()
    outcomes = await books.apply(Payment().bought(unlucky), Payment().bought(other))
    assert outcomes == [Outcome("pending"), APPLIED]
    assert await books.coins(other) == COINS
