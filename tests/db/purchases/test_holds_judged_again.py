"""What was held because something was missing is judged again when it has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from db.inbox import claims
from tests.db.books import APPLIED, NOON, SKU, Books, Outcome, Payment

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from db.facts import Purchase

NEW_SKU = "coins_new"


async def judge(books: Books, *, limit: int = 500) -> int:
    """Judge again what can be, as housekeeping does; return how many events there were."""
    judged: int = await books.db.fetchval(
        "select fleet.judge_holds_again($1, $2)", limit, books.now
    )
    await books.work()
    return judged


async def held(books: Books, purchase: Purchase, reason: str) -> int:
    """Apply an event that is held for this reason; return its id."""
    [event_id] = await books.receive(purchase)
    assert await books.work() == {event_id: Outcome("held", reason)}
    return event_id


async def list_package(
    books: Books, *, coins: int = 100, price: int = 100, currency: str = "usd"
) -> None:
    """Add the new package to the price list."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', $1, $2, $3, $4)",
        NEW_SKU,
        coins,
        price,
        currency,
    )


async def sign_up(books: Books, buyer: UUID) -> None:
    """Sign up the buyer."""
    await books.db.execute("insert into auth.users (id) values ($1)", buyer)


async def set_rate(books: Books, currency: str = "gbp", usd: str = "1.25") -> None:
    """Set a rate as of now."""
    await books.db.execute(
        "insert into public.fx_rates values ($1, $2::text::numeric, $3)", currency, usd, books.now
    )


async def test_a_buyer_who_signs_up_later_gets_the_coins(books: Books) -> None:
    buyer = uuid4()
    event_id = await held(books, Payment().bought(buyer), "unknown_buyer")
    assert await judge(books) == 0
    await sign_up(books, buyer)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == APPLIED
    assert await books.coins(buyer) == 100


async def test_a_product_that_is_listed_later_is_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    event_id = await held(books, payment.bought(buyer, sku=NEW_SKU), "unknown_product")
    assert await judge(books) == 0
    await list_package(books)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == APPLIED
    assert await books.coins(buyer) == 100
    purchase = await books.purchase(payment)
    assert (purchase["status"], purchase["hold_reason"]) == ("confirmed", None)


async def test_a_currency_whose_rate_comes_later_is_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await list_package(books, price=80, currency="gbp")
    bought = payment.bought(buyer, sku=NEW_SKU, currency="gbp", amount_minor=80)
    event_id = await held(books, bought, "no_fx_rate")
    assert await judge(books) == 0
    await set_rate(books)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == APPLIED
    assert await books.coins(buyer) == 100
    assert str((await books.purchase(payment))["usd_amount"]) == "1.00"


async def test_a_purchase_that_lacks_three_things_is_judged_again_after_each(books: Books) -> None:
    buyer = uuid4()
    bought = Payment().bought(buyer, sku=NEW_SKU, currency="gbp", amount_minor=80)
    event_id = await held(books, bought, "unknown_buyer")
    reasons = []
    for come in (sign_up(books, buyer), list_package(books, price=80, currency="gbp")):
        await come
        books.wait(hours=1)
        assert await judge(books) == 1
        reasons.append((await books.outcome(event_id)).reason)
    await set_rate(books)
    books.wait(hours=1)
    assert await judge(books) == 1
    assert reasons == ["unknown_product", "no_fx_rate"]
    assert await books.outcome(event_id) == APPLIED


async def test_a_run_judges_at_most_as_many_as_it_is_told(books: Books) -> None:
    buyer = await books.profile()
    for no in range(5):
        bought = Payment().bought(buyer, sku=NEW_SKU, purchased_at=NOON - timedelta(hours=no))
        await held(books, bought, "unknown_product")
    await list_package(books)
    assert [await judge(books, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert await books.coins(buyer) == 500


@pytest.mark.parametrize("decision", ["approved", "rejected"])
async def test_what_a_person_has_decided_stays(books: Books, decision: str) -> None:
    buyer = await books.profile()
    await held(books, Payment().bought(buyer, sku=NEW_SKU), "unknown_product")
    await list_package(books)
    transaction = books.db.transaction()
    await transaction.start()
    await books.db.execute("update public.coin_purchases set decision = $1", decision)
    assert await judge(books) == 0
    await transaction.rollback()


@pytest.mark.parametrize("reason", ["needs_approval", "over_limit", "wrong_amount"])
async def test_what_is_held_for_another_reason_waits_for_a_person(
    books: Books, reason: str
) -> None:
    buyer = await books.profile()
    bought = {
        "needs_approval": Payment().worth(buyer, 25_001),
        "over_limit": Payment().worth(buyer, 50_001),
        "wrong_amount": Payment().bought(buyer, amount_minor=1, told_by="session"),
    }[reason]
    await held(books, bought, reason)
    assert await judge(books) == 0


@pytest.mark.parametrize(
    ("price", "paid", "reason"),
    [
        (2_500_001, 2_500_001, "needs_approval"),
        (5_000_001, 5_000_001, "over_limit"),
        (100, 99, "wrong_amount"),
    ],
)
async def test_all_limits_apply_again(books: Books, price: int, paid: int, reason: str) -> None:
    buyer = await books.profile()
    bought = Payment().bought(buyer, sku=NEW_SKU, amount_minor=paid, told_by="session")
    event_id = await held(books, bought, "unknown_product")
    await list_package(books, price=price)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == Outcome("held", reason)
    assert await books.coins(buyer) == 0
    books.wait(days=2)
    assert await judge(books) == 0


@pytest.mark.parametrize(("others", "outcome"), [(4, APPLIED), (5, Outcome("held", "velocity"))])
async def test_a_purchase_judged_again_is_not_its_own_neighbour(
    books: Books, others: int, outcome: Outcome
) -> None:
    buyer = await books.profile()
    event_id = await held(books, Payment().bought(buyer, sku=NEW_SKU), "unknown_product")
    await books.apply(*(Payment().bought(buyer) for _ in range(others)))
    await list_package(books)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == outcome


@pytest.mark.parametrize(("others", "outcome"), [(3, APPLIED), (4, Outcome("held", "velocity"))])
async def test_two_that_are_judged_again_together_are_counted_once_each(
    books: Books, others: int, outcome: Outcome
) -> None:
    buyer = await books.profile()
    wanted = [Payment().bought(buyer, sku=NEW_SKU) for _ in range(2)]
    event_ids = [await held(books, each, "unknown_product") for each in wanted]
    await books.apply(*(Payment().bought(buyer) for _ in range(others)))
    await list_package(books)
    assert await judge(books) == 2
    assert {await books.outcome(event_id) for event_id in event_ids} == {outcome}


@pytest.mark.parametrize(("refunded", "left"), [(40, 60), (99, 1)])
async def test_what_was_refunded_meanwhile_is_not_granted(
    books: Books, refunded: int, left: int
) -> None:
    buyer, payment = await books.profile(), Payment()
    await held(books, payment.bought(buyer, sku=NEW_SKU), "unknown_product")
    await books.apply_one(payment.refund(refunded))
    await list_package(books)
    assert await judge(books) == 1
    assert await books.coins(buyer) == left


async def test_what_was_refunded_whole_meanwhile_is_not_judged(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await held(books, payment.bought(buyer, sku=NEW_SKU), "unknown_product")
    await books.apply_one(payment.refund(100))
    await list_package(books)
    assert await judge(books) == 0
    assert await books.coins(buyer) == 0


async def test_the_second_event_of_the_payment_does_not_grant_it_twice(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await held(books, payment.bought(buyer, sku=NEW_SKU), "unknown_product")
    await books.apply_one(payment.bought(buyer, sku=NEW_SKU))
    await list_package(books)
    await judge(books)
    await judge(books)
    await books.apply_one(payment.bought(buyer, sku=NEW_SKU))
    assert await books.coins(buyer) == 100


async def test_an_event_held_before_its_buyer_was_noted_is_judged_once(books: Books) -> None:
    buyer = uuid4()
    event_id = await held(books, Payment().bought(buyer), "unknown_buyer")
    await books.db.execute("delete from fleet.payment_halves")
    assert [await judge(books), await judge(books)] == [1, 0]
    assert await books.outcome(event_id) == Outcome("held", "unknown_buyer")
    await sign_up(books, buyer)
    books.wait(minutes=2)
    assert await judge(books) == 1
    assert await books.coins(buyer) == 100


async def test_an_event_that_stays_held_is_judged_at_growing_pauses(books: Books) -> None:
    await held(books, Payment().bought(uuid4()), "unknown_buyer")
    await books.db.execute("update fleet.payment_halves set profile_id = $1", await books.profile())
    judged = []
    for minute in range(16):
        # The event itself doesn't say so to the worker that claims it.
        if await books.db.fetchval("select fleet.judge_holds_again(500, $1)", books.now):
            judged.append(minute)
        await books.db.execute(
            "update fleet.inbox_events set state = 'held', reason = 'unknown_buyer'"
        )
        books.wait(minutes=1)
    assert judged == [0, 2, 6, 14]
    await books.db.execute("delete from fleet.payment_halves")


@pytest.mark.parametrize("ahead", [timedelta(minutes=20), timedelta(days=365)], ids=str)
async def test_a_judgement_by_a_clock_that_was_ahead_delays_no_other(
    books: Books, ahead: timedelta
) -> None:
    buyer = uuid4()
    event_id = await held(books, Payment().bought(buyer), "unknown_buyer")
    await books.db.execute(
        "insert into fleet.hold_judgements (event_id, judged_at) values ($1, $2)",
        event_id,
        NOON + ahead,
    )
    await sign_up(books, buyer)
    assert await judge(books) == 1


async def test_a_hold_that_is_not_judged_again_in_time_breaks_an_invariant(books: Books) -> None:
    await held(books, Payment().bought(await books.profile(), sku=NEW_SKU), "unknown_product")
    await list_package(books)
    assert await books.breaches() == {}
    transaction = books.db.transaction()
    await transaction.start()
    await books.db.execute("update public.coin_packages set listed_at = now() - interval '31 min'")
    assert set(await books.breaches()) == {"holds_have_their_reason"}
    await transaction.rollback()


async def test_a_worker_may_judge_again(books: Books, db: Connection, worker_pool: Pool) -> None:
    buyer = uuid4()
    await held(books, Payment().bought(buyer, sku=SKU), "unknown_buyer")
    await sign_up(books, buyer)
    assert await claims.judge_holds_again(worker_pool, limit=500) == 1
    assert await db.fetchval("select state from fleet.inbox_events") == "pending"
