"""Store purchases that cost nothing: ignored, or granted to all or to a few, up to a cap."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.db.approvals.decisions import GRANTED, approve, hold
from tests.db.books import APPLIED, Books, Outcome
from tests.db.stores.sales import SANDBOX, Sale, calls, item, purchase, set_sandbox

pytestmark = pytest.mark.requirement("C6")


async def test_a_sandbox_purchase_grants_nothing(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    assert await books.apply_one(sale.sold(buyer, is_sandbox=True)) == SANDBOX
    assert await books.apply_one(sale.sold(None, is_sandbox=True)) == SANDBOX
    assert await books.apply_one(sale.reversed(100_000, is_sandbox=True)) == SANDBOX
    assert await purchase(books, sale) is None
    assert await calls(books.db, sale) == []


async def test_staging_grants_sandbox_purchases(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    await set_sandbox(books.db, "grant", coins_per_day=1)
    assert await books.apply_one(sale.sold(buyer, is_sandbox=True)) == APPLIED
    assert await books.coins(buyer) == 100


async def test_listed_profiles_are_granted_sandbox_coins_up_to_a_cap_per_day(
    books: Books, sale: Sale
) -> None:
    reviewer, other = await books.profiles(2)
    await set_sandbox(books.db, profiles=[reviewer], coins_per_day=250)
    over = Outcome("ignored", "sandbox_limit")
    batch = [Sale(sale.provider).sold(reviewer, is_sandbox=True) for _ in range(3)]
    assert await books.apply(*batch) == [APPLIED, APPLIED, over]
    assert await books.apply_one(Sale(sale.provider).sold(reviewer, is_sandbox=True)) == over
    assert await books.apply_one(Sale(sale.provider).sold(other, is_sandbox=True)) == SANDBOX
    assert await books.apply_one(Sale(sale.provider).sold(reviewer)) == APPLIED
    books.wait(days=1)
    assert await books.apply_one(Sale(sale.provider).sold(reviewer, is_sandbox=True)) == APPLIED
    assert await books.coins(reviewer) == 400


async def test_what_a_clock_ahead_granted_counts_for_its_own_day_alone(
    books: Books, sale: Sale
) -> None:
    reviewer = await books.profile()
    await set_sandbox(books.db, profiles=[reviewer], coins_per_day=100)
    for days in (2, -2):
        books.wait(days=days)
        assert await books.apply_one(Sale(sale.provider).sold(reviewer, is_sandbox=True)) == APPLIED


async def _list_the_new_product(books: Books) -> None:
    """Its holds are judged again."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('apple', 'coins.new', 100, 99), ('google', 'coins.new', 100, 99)"
    )
    await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now)
    await books.work()


async def test_the_cap_counts_sandbox_coins_that_are_granted_after_a_hold(
    books: Books, sale: Sale
) -> None:
    reviewer = await books.profile()
    await set_sandbox(books.db, profiles=[reviewer], coins_per_day=250)
    new = item("coins.new")
    for _ in range(3):
        sold = Sale(sale.provider).sold(reviewer, new, is_sandbox=True)
        await hold(books, sold, "unknown_product")
    await _list_the_new_product(books)
    assert await books.coins(reviewer) == 200
    # What they were granted then leaves room for no other.
    late = Sale(sale.provider).sold(reviewer, is_sandbox=True)
    assert await books.apply_one(late) == Outcome("ignored", "sandbox_limit")
    books.wait(days=1)
    await books.db.fetchval("select fleet.judge_holds_again(10, $1)", books.now)
    await books.work()
    assert await books.coins(reviewer) == 300


async def test_a_held_sandbox_purchase_of_somebody_no_longer_listed_is_not_granted_by_itself(
    books: Books, sale: Sale
) -> None:
    reviewer = await books.profile()
    await set_sandbox(books.db, profiles=[reviewer])
    await hold(books, sale.sold(reviewer, item("coins.new"), is_sandbox=True), "unknown_product")
    await set_sandbox(books.db)
    await _list_the_new_product(books)
    assert await books.coins(reviewer) == 0


@pytest.mark.usefixtures("named")
async def test_sandbox_coins_that_a_person_approves_count_for_the_cap(
    books: Books, sale: Sale
) -> None:
    reviewer = await books.profile()
    await set_sandbox(books.db, profiles=[reviewer], coins_per_day=3_000_000)
    dear = sale.sold(reviewer, units=30_000, is_sandbox=True)
    assert await approve(books.db, await hold(books, dear, "needs_approval")) == GRANTED
    # A decision has no other time than the server's.
    books.now = datetime.now(UTC)
    late = Sale(sale.provider).sold(reviewer, is_sandbox=True)
    assert await books.apply_one(late) == Outcome("ignored", "sandbox_limit")


async def test_a_listed_client_submits_what_the_notification_could_not_grant(
    books: Books, sale: Sale
) -> None:
    reviewer = await books.profile()
    await set_sandbox(books.db, profiles=[reviewer])
    assert await books.apply_one(sale.sold(None, is_sandbox=True)) == SANDBOX
    assert await books.apply_one(sale.submitted(reviewer, is_sandbox=True)) == APPLIED
    assert await books.coins(reviewer) == 100


async def test_what_went_back_of_a_sandbox_purchase_waits_for_nothing(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    (early,) = await books.receive(google.voided(1))
    await books.work()
    assert await books.apply_one(google.sold(buyer, is_sandbox=True)) == SANDBOX
    assert await books.outcome(early) == SANDBOX
    assert await books.apply_one(google.voided(None)) == SANDBOX
