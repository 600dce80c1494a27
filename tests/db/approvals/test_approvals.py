"""A person approves a held purchase (CONTRACT, Decisions)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.approvals.decisions import (
    FIRST,
    GRANTED,
    approve,
    event_of,
    hold,
    reject,
    set_rules,
)
from tests.db.books import APPLIED, COINS, DUPLICATE, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from db.connections.pool import Connection

pytestmark = pytest.mark.requirement("C7", "H10")

NEW_SKU = "coins_new"


async def list_package(books: Books, *, coins: int = COINS, price: int = 100) -> None:
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', $1, $2, $3)"
        " on conflict (provider, sku, currency) do update set coin_amount = excluded.coin_amount",
        NEW_SKU,
        coins,
        price,
    )


async def refused(code: str, decision: object) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await decision  # type: ignore[misc]
    assert caught.value.sqlstate == code


@pytest.mark.parametrize(
    ("dollars", "reason"), [(30_000, "needs_approval"), (60_000, "over_limit")]
)
async def test_an_approved_purchase_credits_its_coins(
    books: Books, dollars: int, reason: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    purchase_id = await hold(books, payment.worth(buyer, dollars), reason)
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == dollars * COINS
    assert await event_of(books, purchase_id) == APPLIED
    assert (await books.purchase(payment))["hold_reason"] is None
    assert await books.apply_one(payment.worth(buyer, dollars)) == DUPLICATE
    assert await books.coins(buyer) == dollars * COINS


async def test_a_purchase_held_for_velocity_is_approved(books: Books) -> None:
    buyer = await books.profile()
    await books.apply(*(Payment().bought(buyer) for _ in range(5)))
    purchase_id = await hold(books, Payment().bought(buyer), "velocity")
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == 6 * COINS


async def test_a_purchase_that_a_direct_call_recorded_is_approved_with_its_event(
    books: Books,
) -> None:
    buyer = await books.profile()
    purchase_id = await books.db.fetchval(
        "select purchase_id from public.process_coin_purchase($1, 'stripe', 'evt', 'pi_x',"
        " 3000000, 30000)",
        buyer,
    )
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == 3_000_000


async def test_an_approval_is_kept_with_who_and_why(books: Books) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    await approve(books.db, purchase_id)
    kept = await books.db.fetchrow("select * from fleet.decisions")
    assert kept is not None
    assert (kept["verb"], kept["outcome"], kept["who"], kept["reason"], kept["hold_reason"]) == (
        "approve",
        "granted",
        "coinfleet_owner",
        "it is fine",
        "needs_approval",
    )


@pytest.mark.parametrize(
    "verb", ["update fleet.decisions set who = ''", "delete from fleet.decisions"]
)
async def test_what_was_decided_is_never_changed(books: Books, verb: str) -> None:
    buyer = await books.profile()
    await approve(books.db, await hold(books, Payment().worth(buyer, 30_000), "needs_approval"))
    await refused("CF010", books.db.execute(verb))


@pytest.mark.parametrize("reason", [None, "", "  "])
async def test_an_approval_has_a_reason(books: Books, reason: str | None) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    call = "select public.approve_coin_purchase($1, 'ann', $2)"
    await refused("22023", books.db.execute(call, purchase_id, reason))


async def test_a_purchase_that_is_not_there_is_refused(books: Books) -> None:
    await refused("22023", approve(books.db, 404))


# Pricing again


async def test_an_unknown_product_is_priced_by_the_package_that_exists_now(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    bought = payment.bought(buyer, sku=NEW_SKU, units=3)
    purchase_id = await hold(books, bought, "unknown_product")
    await refused("CF013", approve(books.db, purchase_id))
    await list_package(books, coins=70)
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == 210


async def test_a_wrong_amount_gets_its_packages_coins(books: Books) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().bought(buyer, amount_minor=90), "wrong_amount")
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize(("coins", "granted"), [(1, True), (90, True), (0, False), (101, False)])
async def test_a_wrong_amount_gets_fewer_coins_if_a_person_says_so(
    books: Books, coins: int, *, granted: bool
) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().bought(buyer, amount_minor=90), "wrong_amount")
    if granted:
        assert await approve(books.db, purchase_id, coins=coins) == GRANTED
    else:
        await refused("22023", approve(books.db, purchase_id, coins=coins))
    assert await books.coins(buyer) == (coins if granted else 0)


async def test_what_is_held_for_its_size_gets_all_its_coins_or_none(books: Books) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    await refused("22023", approve(books.db, purchase_id, coins=1))
    assert await approve(books.db, purchase_id, coins=3_000_000) == GRANTED


async def test_a_currency_without_a_rate_is_approved_without_one(books: Books) -> None:
    buyer = await books.profile()
    bought = Payment().bought(buyer, currency="eur", amount_minor=95)
    purchase_id = await hold(books, bought, "no_fx_rate")
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == COINS


# What was refunded


@pytest.mark.parametrize(("refunded", "left"), [(1, 2_999_999), (1_000_000, 2_000_000)])
async def test_after_a_partial_refund_an_approval_grants_what_is_left(
    books: Books, refunded: int, left: int
) -> None:
    buyer, payment = await books.profile(), Payment()
    purchase_id = await hold(books, payment.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(payment.refund(refunded))
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == left
    await books.apply_one(payment.refund(3_000_000, "rest"))
    assert await books.coins(buyer) == 0
    assert await books.status(payment) == "refunded"


async def test_a_purchase_that_was_refunded_meanwhile_is_not_approved(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    purchase_id = await hold(books, payment.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(payment.refund(3_000_000))
    await refused("CF012", approve(books.db, purchase_id))
    await books.apply_one(
        payment.refund(3_000_000, status="failed", told_at=NOON + timedelta(minutes=1))
    )
    assert await approve(books.db, purchase_id) == GRANTED
    assert await books.coins(buyer) == 3_000_000


# Who and how many


async def test_nobody_decides_twice(named: Connection, books: Books) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=1)
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    assert await approve(named, purchase_id, "Ann") == FIRST
    await refused("CF011", approve(named, purchase_id, "ann"))
    await refused("CF011", reject(named, purchase_id, "ANN"))
    assert await approve(named, purchase_id, "ben") == GRANTED
    await refused("CF011", approve(named, purchase_id, "ben"))
    await refused("CF012", approve(named, purchase_id, "cleo"))
    await refused("CF012", reject(named, purchase_id, "cleo"))
    assert await books.coins(buyer) == 3_000_000


@pytest.mark.parametrize(
    ("second_above", "answer"), [(None, GRANTED), (30_000, GRANTED), (29_999, FIRST)]
)
async def test_above_a_worth_two_people_approve(
    named: Connection, books: Books, second_above: int | None, answer: object
) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=second_above)
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    assert await approve(named, purchase_id) == answer
    assert await books.coins(buyer) == (3_000_000 if answer == GRANTED else 0)


@pytest.mark.parametrize(("rate", "answer"), [(False, FIRST), (True, GRANTED)])
async def test_an_unknown_worth_needs_two_people(
    named: Connection, books: Books, *, rate: bool, answer: object
) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=40_000)
    bought = Payment().bought(buyer, currency="eur", amount_minor=95)
    purchase_id = await hold(books, bought, "no_fx_rate")
    if rate:
        await named.execute(
            "insert into public.fx_rates values ('eur', 1.1, $1)", datetime.now(UTC)
        )
    assert await approve(named, purchase_id) == answer


async def test_one_of_two_rejects_what_the_other_approved(named: Connection, books: Books) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=1)
    purchase_id = await hold(books, Payment().worth(buyer, 30_000), "needs_approval")
    await approve(named, purchase_id, "ann")
    assert (await reject(named, purchase_id, "ben")).decision == "rejected"
    await refused("CF012", approve(named, purchase_id, "cleo"))
    assert await books.coins(buyer) == 0


async def test_two_people_approve_the_same_number_of_coins(named: Connection, books: Books) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=0)
    purchase_id = await hold(books, Payment().bought(buyer, amount_minor=90), "wrong_amount")
    assert await approve(named, purchase_id, "ann", coins=80) == FIRST
    await refused("CF012", approve(named, purchase_id, "ben", coins=90))
    assert await approve(named, purchase_id, "ben") == GRANTED
    assert await books.coins(buyer) == 80


async def test_a_first_approval_of_coins_that_the_package_has_no_more_counts_no_more(
    named: Connection, books: Books
) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=0)
    purchase_id = await hold(books, Payment().bought(buyer, sku=NEW_SKU), "unknown_product")
    await list_package(books, coins=100)
    assert await approve(named, purchase_id, "ann") == FIRST
    await list_package(books, coins=70)
    assert await approve(named, purchase_id, "ben") == FIRST
    assert await approve(named, purchase_id, "cleo") == GRANTED
    assert await books.coins(buyer) == 70


async def test_what_has_a_first_approval_is_left_to_people(named: Connection, books: Books) -> None:
    buyer = await books.profile()
    await set_rules(named, second_above=0)
    purchase_id = await hold(books, Payment().bought(buyer, sku=NEW_SKU), "unknown_product")
    await list_package(books)
    assert await approve(named, purchase_id) == FIRST
    assert await named.fetchval("select fleet.judge_holds_again(500, $1)", books.now) == 0
    assert await event_of(books, purchase_id) == Outcome("held", "unknown_product")


async def test_a_late_half_grants_nothing_that_has_a_first_approval(
    named: Connection, books: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    await set_rules(named, second_above=0)
    purchase_id = await hold(books, payment.bought(buyer, amount_minor=119), "wrong_amount")
    assert await approve(named, purchase_id, coins=50) == FIRST
    explained = payment.bought(buyer, amount_minor=119, deductions_minor=[19], told_by="session")
    await books.apply_one(explained)
    assert await books.coins(buyer) == 0
    assert await approve(named, purchase_id, "ben") == GRANTED
    assert await books.coins(buyer) == 50


# Payments that turned out to be one


async def test_a_purchase_whose_payment_is_granted_already_is_not_approved(books: Books) -> None:
    buyer, held, granted = await books.profile(), Payment(), Payment()
    purchase_id = await hold(books, held.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(granted.bought(buyer))
    both = [held.intent, granted.intent]
    await books.apply_one(granted.bought(buyer, payment_keys=both))
    assert await event_of(books, purchase_id) == Outcome("held", "id_conflict")
    await refused("CF012", approve(books.db, purchase_id))
    # A refund would take the coins of the purchase that was granted.
    await refused("22023", reject(books.db, purchase_id))
    assert (await reject(books.db, purchase_id, without_refund=True)).decision == "rejected"
    assert await books.coins(buyer) == COINS


async def test_of_two_held_purchases_of_one_payment_one_is_approved(
    named: Connection, books: Books
) -> None:
    buyer, one, other = await books.profile(), Payment(), Payment()
    first = await hold(books, one.worth(buyer, 30_000), "needs_approval")
    second = await hold(books, other.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(one.refund(1, payment_keys=[one.intent, other.intent], status="failed"))
    assert await approve(named, second) == GRANTED
    assert await event_of(books, first) == Outcome("held", "id_conflict")
    await refused("CF012", approve(named, first, "ben"))
    assert await books.coins(buyer) == 3_000_000


async def test_of_two_held_purchases_of_one_payment_none_is_approved_once_its_refund_is_asked_for(
    named: Connection, books: Books
) -> None:
    buyer, one, other = await books.profile(), Payment(), Payment()
    first = await hold(books, one.worth(buyer, 30_000), "needs_approval")
    second = await hold(books, other.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(one.refund(1, payment_keys=[one.intent, other.intent], status="failed"))
    assert (await reject(named, first)).waits_for == "refund"
    # Its money is on its way back: coins that are granted now are spent before it is there.
    await refused("CF012", approve(named, second, "ben"))
    assert await books.coins(buyer) == 0


async def test_of_two_held_purchases_of_one_payment_one_is_approved_if_the_other_keeps_its_money(
    named: Connection, books: Books
) -> None:
    buyer, one, other = await books.profile(), Payment(), Payment()
    first = await hold(books, one.worth(buyer, 30_000), "needs_approval")
    second = await hold(books, other.worth(buyer, 30_000), "needs_approval")
    await books.apply_one(one.refund(1, payment_keys=[one.intent, other.intent], status="failed"))
    await reject(named, first, without_refund=True)
    assert await approve(named, second, "ben") == GRANTED
    assert await books.coins(buyer) == 3_000_000


async def test_an_event_of_an_approved_purchase_that_is_tried_again_changes_nothing(
    books: Books,
) -> None:
    buyer = await books.profile()
    purchase_id = await hold(books, Payment().bought(buyer, amount_minor=90), "wrong_amount")
    await approve(books.db, purchase_id)
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    assert list((await books.work()).values()) == [DUPLICATE]
    assert await books.coins(buyer) == COINS


async def test_an_approved_purchase_pays_a_debt_first(books: Books) -> None:
    buyer, earlier = await books.profile(), Payment()
    await books.apply_one(earlier.bought(buyer))
    await books.adjust(buyer, -60)
    await books.apply_one(earlier.refund(100))
    purchase_id = await hold(books, Payment().bought(buyer, amount_minor=90), "wrong_amount")
    await approve(books.db, purchase_id)
    assert await books.coins(buyer) == COINS - 60
