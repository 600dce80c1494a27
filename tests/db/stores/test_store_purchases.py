"""Purchases of Apple and Google: the product says the coins, the store or a client the buyer."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from tests.db.books import APPLIED, DUPLICATE, Books, Outcome
from tests.db.stores.sales import (
    NO_BUYER_YET,
    NOT_THE_BUYER,
    SEVEN,
    UNKNOWN_BUYER,
    Sale,
    calls,
    item,
    purchase,
)

pytestmark = pytest.mark.requirement("C6")


async def test_a_stores_product_credits_its_coins_whatever_was_paid(
    books: Books, sale: Sale
) -> None:
    buyer = await books.profile()
    odd = sale.sold(buyer, units=3, amount_minor=123, currency="jpy")
    assert await books.apply_one(odd) == APPLIED
    assert await books.coins(buyer) == 300


async def test_a_purchase_whose_store_tells_no_price_is_worth_its_list_price(
    books: Books, sale: Sale
) -> None:
    buyer = await books.profile()
    assert await books.apply_one(sale.sold(buyer, units=3)) == APPLIED
    row = await purchase(books, sale)
    assert row is not None
    assert (row["amount_minor"], row["currency"]) == (None, None)
    assert float(row["usd_amount"]) == 3.0


async def test_line_items_add_up(books: Books, google: Sale) -> None:
    buyer = await books.profile()
    both = google.sold(buyer, item(units=2), item(SEVEN, units=3))
    assert await books.apply_one(both) == APPLIED
    assert await books.coins(buyer) == 221
    row = await purchase(books, google)
    assert row is not None
    assert row["sku"] == "coins.100+coins.7"


async def test_one_unknown_product_holds_the_whole(books: Books, google: Sale) -> None:
    buyer = await books.profile()
    one = google.sold(buyer, item(), item("coins.unknown"))
    assert await books.apply_one(one) == Outcome("held", "unknown_product")
    assert await books.coins(buyer) == 0


async def test_without_a_rate_and_a_list_price_it_is_held(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    one = sale.sold(buyer, item("coins.9"), amount_minor=900, currency="eur")
    assert await books.apply_one(one) == Outcome("held", "no_fx_rate")


async def test_each_path_alone_and_both_grant_once(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    notified, submitted = sale.sold(buyer), sale.submitted(buyer, profile_id=buyer)
    assert await books.apply_one(submitted) == APPLIED
    assert await books.apply(notified, submitted) == [DUPLICATE, DUPLICATE]
    assert await books.coins(buyer) == 100


async def test_a_submission_of_somebody_elses_purchase_changes_nothing(
    books: Books, sale: Sale
) -> None:
    buyer, thief = await books.profiles(2)
    assert await books.apply_one(sale.submitted(thief, profile_id=buyer)) == NOT_THE_BUYER
    assert await books.apply_one(sale.sold(buyer)) == APPLIED
    theft = sale.submitted(thief, profile_id=buyer, reversed_milli_percent=100_000)
    assert await books.apply_one(theft) == NOT_THE_BUYER
    assert (await books.coins(buyer), await books.coins(thief)) == (100, 0)


async def test_a_purchase_without_a_buyer_waits_15_minutes_then_is_held(
    books: Books, sale: Sale
) -> None:
    (event_id,) = await books.receive(sale.sold(None))
    assert await books.work() == {event_id: NO_BUYER_YET}
    books.wait(minutes=14, seconds=59)
    await books.try_again(event_id)
    assert await books.work() == {event_id: NO_BUYER_YET}
    books.wait(seconds=1)
    await books.wake()
    assert await books.work() == {event_id: UNKNOWN_BUYER}
    assert await calls(books.db, sale) == []


@pytest.mark.parametrize("minutes", [0, 15])
async def test_the_first_profile_that_submits_it_gets_a_purchase_without_a_buyer(
    books: Books, sale: Sale, minutes: int
) -> None:
    first, second = await books.profiles(2)
    (event_id,) = await books.receive(sale.sold(None))
    await books.work()
    books.wait(minutes=minutes)
    await books.wake()
    await books.work()
    assert await books.apply_one(sale.submitted(first)) == APPLIED
    assert await books.outcome(event_id) == DUPLICATE
    assert await books.apply_one(sale.submitted(second)) == NOT_THE_BUYER
    assert await books.apply_one(sale.submitted(first)) == DUPLICATE
    assert (await books.coins(first), await books.coins(second)) == (100, 0)


async def test_two_that_submit_it_in_one_batch_are_taken_in_order(books: Books, sale: Sale) -> None:
    first, second = await books.profiles(2)
    told = [sale.sold(None), sale.submitted(first), sale.submitted(second)]
    assert await books.apply(*told) == [APPLIED, DUPLICATE, NOT_THE_BUYER]
    assert (await books.coins(first), await books.coins(second)) == (100, 0)


async def test_a_submission_of_nobodys_profile_attributes_nothing(books: Books, sale: Sale) -> None:
    assert await books.apply_one(sale.submitted(uuid4())) == NO_BUYER_YET
    buyer = await books.profile()
    assert await books.apply_one(sale.submitted(buyer)) == APPLIED
    assert await books.coins(buyer) == 100


async def test_a_buyer_whom_the_store_names_unreadably_waits_for_a_person(
    books: Books, sale: Sale
) -> None:
    client = await books.profile()
    unreadable = sale.sold(None, buyer_unreadable=True)
    assert await books.apply_one(unreadable) == UNKNOWN_BUYER
    submitted = sale.submitted(client, buyer_unreadable=True)
    assert await books.apply_one(submitted) == UNKNOWN_BUYER
    assert await books.coins(client) == 0


async def test_a_granted_google_purchase_is_consumed_once(books: Books, google: Sale) -> None:
    buyer = await books.profile()
    await books.apply(google.sold(buyer), google.submitted(buyer, profile_id=buyer))
    call = await books.db.fetchrow("select kind, key, request::text from fleet.provider_calls")
    assert call is not None
    assert call["kind"] == "google.consume"
    assert call["key"] == f"coinfleet:consume:{google.digest}"
    assert '"product_ids": ["coins.100"]' in call["request"]


async def test_a_held_google_purchase_is_acknowledged_at_once(books: Books, google: Sale) -> None:
    buyer = await books.profile()
    dear = google.sold(buyer, units=30_000)
    assert await books.apply_one(dear) == Outcome("held", "needs_approval")
    assert await calls(books.db, google) == ["google.acknowledge"]


async def test_velocity_counts_all_providers_together(books: Books) -> None:
    buyer = await books.profile()
    bought = [Sale("apple").sold(buyer) for _ in range(3)]
    bought += [Sale("google").sold(buyer) for _ in range(3)]
    outcomes = await books.apply(*bought)
    assert outcomes == [APPLIED] * 5 + [Outcome("held", "velocity")]


async def test_all_rows_of_a_product_have_the_same_coins(books: Books) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=r"product coins\.100 of apple"):
        async with books.db.transaction():
            await books.db.execute(
                "insert into public.coin_packages (provider, sku, product_id, coin_amount,"
                " amount_minor, currency) values ('apple', 'x', 'coins.100', 99, 1, 'gbp')"
            )
    await books.db.execute(
        "update public.coin_packages set coin_amount = 101"
        " where provider = 'apple' and product_id = 'coins.100'"
    )


async def test_a_product_with_two_numbers_of_coins_is_unknown(books: Books, apple: Sale) -> None:
    buyer = await books.profile()
    # A price list from before the rule.
    async with books.db.transaction():
        await books.db.execute(
            "alter table public.coin_packages disable trigger user;"
            " update public.coin_packages set coin_amount = 99 where currency = 'eur';"
            " alter table public.coin_packages enable trigger user"
        )
    assert await books.apply_one(apple.sold(buyer)) == Outcome("held", "unknown_product")
    await books.db.execute(
        "update public.coin_packages set coin_amount = 100 where product_id = 'coins.100'"
    )
