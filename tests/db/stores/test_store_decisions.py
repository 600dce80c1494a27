"""People decide held purchases of stores: what Google refunds, what only Apple can."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from tests.db.approvals.decisions import (
    BY_DECISION,
    CLOSED,
    FIRST,
    GRANTED,
    REFUNDING,
    approve,
    event_of,
    hold,
    reject,
    set_rules,
)
from tests.db.books import APPLIED, DUPLICATE, NOON, Books
from tests.db.stores.sales import NOT_THE_BUYER, SEVEN, UNKNOWN_BUYER, Sale, calls, item

pytestmark = [pytest.mark.requirement("H10"), pytest.mark.usefixtures("named")]

LATER = NOON + timedelta(hours=1)
DEAR = 30_000


async def test_an_approved_google_purchase_is_granted_and_consumed(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    held = await hold(books, google.sold(buyer, units=DEAR), "needs_approval")
    assert await approve(books.db, held) == GRANTED
    assert await books.coins(buyer) == DEAR * 100
    assert await calls(books.db, google) == ["google.acknowledge", "google.consume"]


async def test_approving_after_a_partial_reversal_grants_the_rest(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    held = await hold(books, sale.sold(buyer, units=DEAR), "needs_approval")
    back = sale.reversed(50_000, LATER, quantity=DEAR)
    await books.apply_one(back if sale.provider == "apple" else sale.voided(DEAR // 2))
    assert await approve(books.db, held) == GRANTED
    assert await books.coins(buyer) == DEAR * 50


async def test_a_rejected_google_purchase_is_refunded_and_closed_by_its_reversal(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    sold = google.sold(buyer, units=DEAR)
    held = await hold(books, sold, "needs_approval")
    assert await reject(books.db, held) == REFUNDING
    call = await books.db.fetchrow(
        "select request ->> 'order_id' as order_id, request ->> 'token' as token,"
        " request ->> 'package' as package,"
        " key = 'coinfleet:refund:' || (request ->> 'decision_id') as is_keyed"
        " from fleet.provider_calls where kind = 'google.refund'"
    )
    assert call is not None
    assert tuple(call) == (google.order, google.name, google.app, True)
    assert (await event_of(books, held)).state == "held"
    again = google.sold(buyer, units=DEAR, reversed_milli_percent=100_000, told_at=LATER)
    assert await books.apply_one(again) == DUPLICATE
    assert await event_of(books, held) == BY_DECISION
    assert await books.coins(buyer) == 0


async def test_an_apple_purchase_is_rejected_only_without_a_refund(
    books: Books, apple: Sale
) -> None:
    buyer = await books.profile()
    held = await hold(books, apple.sold(buyer, units=DEAR), "needs_approval")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="customers who ask Apple"):
        async with books.db.transaction():
            await reject(books.db, held)
    assert await reject(books.db, held, without_refund=True) == CLOSED
    assert await event_of(books, held) == BY_DECISION


async def test_an_unknown_product_is_granted_once_it_is_listed(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    new = item("coins.new", units=2), item(SEVEN)
    await hold(books, sale.sold(buyer, *new), "unknown_product")
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('apple', 'coins.new', 50, 50), ('google', 'coins.new', 50, 50)"
    )
    assert await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now) == 1
    await books.work()
    assert await books.coins(buyer) == 107
    if sale.provider == "google":
        assert await calls(books.db, sale) == ["google.acknowledge", "google.consume"]
        await books.apply_one(sale.sold(buyer, item("coins.new", units=2, back=1), item(SEVEN)))
        assert await books.coins(buyer) == 57


async def test_approving_an_unknown_product_takes_the_package_that_exists_now(
    books: Books, sale: Sale
) -> None:
    buyer = await books.profile()
    held = await hold(books, sale.sold(buyer, item("coins.new", units=2)), "unknown_product")
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with books.db.transaction():
            await approve(books.db, held)
    assert refused.value.sqlstate == "CF013"
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, product_id, coin_amount, amount_minor)"
        " values ('apple', 'n', 'coins.new', 50, 50), ('google', 'n', 'coins.new', 50, 50)"
    )
    assert await approve(books.db, held, coins=99) == GRANTED
    assert await books.coins(buyer) == 99


async def test_after_an_approval_each_product_is_reversed_by_its_own_coins(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    new = item("coins.new", units=2)
    held = await hold(books, google.sold(buyer, new, item(SEVEN)), "unknown_product")
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('google', 'coins.new', 50, 50)"
    )
    assert await approve(books.db, held) == GRANTED
    back = item("coins.new", units=2, back=1)
    await books.apply_one(google.sold(buyer, back, item(SEVEN)))
    assert await books.coins(buyer) == 57


async def test_what_no_price_says_needs_two_people(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    await set_rules(books.db, second_above=1)
    held = await hold(books, sale.sold(buyer, item("coins.9")), "no_fx_rate")
    assert await approve(books.db, held) == FIRST
    assert await approve(books.db, held, "ben") == GRANTED
    assert await books.coins(buyer) == 9


async def test_a_rate_that_comes_later_grants_it(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    one = sale.sold(buyer, item("coins.9"), amount_minor=900, currency="eur")
    await hold(books, one, "no_fx_rate")
    await books.db.execute("insert into public.fx_rates values ('eur', 1.1, $1)", books.now)
    assert await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now) == 1
    await books.work()
    assert await books.coins(buyer) == 9


async def test_a_person_says_whose_purchase_it_is_and_nobody_after_that(
    books: Books, sale: Sale
) -> None:
    buyer, other = await books.profiles(2)
    (event_id,) = await books.receive(sale.sold(None, buyer_unreadable=True))
    assert await books.work() == {event_id: UNKNOWN_BUYER}
    await books.db.execute(
        "select public.attribute_held_event($1, $2, 'ann', 'support ticket')", event_id, buyer
    )
    assert await books.work() == {event_id: APPLIED}
    theft = sale.submitted(other, buyer_unreadable=True)
    assert await books.apply_one(theft) == NOT_THE_BUYER
    assert (await books.coins(buyer), await books.coins(other)) == (100, 0)


async def test_a_persons_word_counts_although_another_client_submitted_it(
    books: Books, sale: Sale
) -> None:
    buyer, client = await books.profiles(2)
    (event_id,) = await books.receive(sale.submitted(client, buyer_unreadable=True))
    assert await books.work() == {event_id: UNKNOWN_BUYER}
    await books.db.execute(
        "select public.attribute_held_event($1, $2, 'ann', 'support ticket')", event_id, buyer
    )
    assert await books.work() == {event_id: APPLIED}
    assert (await books.coins(buyer), await books.coins(client)) == (100, 0)


async def test_a_named_buyer_who_signs_up_later_gets_it(books: Books, sale: Sale) -> None:
    buyer = uuid4()
    (event_id,) = await books.receive(sale.sold(buyer))
    assert await books.work() == {event_id: UNKNOWN_BUYER}
    assert await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now) == 0
    await books.db.execute("insert into auth.users (id) values ($1)", buyer)
    assert await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now) == 1
    assert await books.work() == {event_id: APPLIED}


async def test_an_event_without_a_buyer_is_rejected_with_googles_refund(
    books: Books, google: Sale
) -> None:
    (event_id,) = await books.receive(google.sold(None, buyer_unreadable=True))
    await books.work()
    await books.db.execute("select public.reject_held_event($1, 'ann', 'nobody', false)", event_id)
    assert await calls(books.db, google) == ["google.refund"]
    gone = google.sold(None, buyer_unreadable=True, reversed_milli_percent=100_000)
    assert await books.apply_one(gone) == BY_DECISION
    assert await books.outcome(event_id) == BY_DECISION


async def test_an_apple_hold_never_expires(books: Books, apple: Sale, google: Sale) -> None:
    buyer = await books.profile()
    await set_rules(books.db, expires_days=10)
    free = apple.sold(buyer, item("coins.x"), amount_minor=0, currency="usd")
    await hold(books, free, "unknown_product")
    held = await hold(books, google.sold(buyer, units=DEAR), "needs_approval")
    books.wait(days=10)
    row = await books.db.fetchrow("select * from fleet.expire_hold($1)", books.now)
    assert row is not None
    assert row["purchase_id"] == held
    assert await books.db.fetchrow("select * from fleet.expire_hold($1)", books.now) is None
    reminded = await books.db.fetch("select * from fleet.remind_of_holds(10, $1)", books.now)
    assert len(reminded) == 1


async def test_a_direct_call_and_the_stores_event_grant_once(books: Books, sale: Sale) -> None:
    buyer, other = await books.profiles(2)
    await books.db.execute(
        "select public.process_coin_purchase($1, $2, $3, $4, 100, 1.00)",
        buyer,
        sale.provider,
        f"rpc-{sale.number}",
        sale.name,
    )
    assert await books.apply_one(sale.sold(buyer)) == DUPLICATE
    assert await books.apply_one(sale.submitted(other)) == NOT_THE_BUYER
    await books.apply_one(sale.reversed(100_000, LATER))
    assert await books.coins(buyer) == 0
