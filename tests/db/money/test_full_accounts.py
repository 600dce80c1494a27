"""What would bring an account beyond 2^63 - 1 coins: held or refused by name, never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.errors import AccountFull, PurchaseOverLimit
from tests.db.approvals.decisions import GRANTED, approve, event_of, hold
from tests.db.books import APPLIED, COINS, SHORT, Books, Outcome, Payment, gift
from tests.db.money.calls import buy, give
from tests.db.money.refusals import refused
from tests.db.stores.sales import PRICE_LIST, Sale

if TYPE_CHECKING:
    from uuid import UUID

    from tests.conftest import SignIn

pytestmark = pytest.mark.requirement("C3")

MOST = 2**63 - 1
HALF = 2**62
TOO_MANY = Outcome("held", "over_limit")
FULL = Outcome("rejected", "account_full")


@pytest.fixture
async def dear(books: Books) -> str:
    """A package and a gift of 2^62 coins each, for a dollar; the streamer gets all of the gift."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        f" values ('stripe', 'dear', {HALF}, 100)"
    )
    await books.db.execute(
        "insert into public.gift_types (code, name, coin_cost, streamer_share_bps)"
        f" values ('dear', 'Dear', {HALF}, 10000)"
    )
    return "dear"


async def test_the_last_coin_that_fits_is_granted_and_the_next_is_held(books: Books) -> None:
    buyer = await books.profile(coins=MOST - COINS)
    assert await books.apply_one(Payment().bought(buyer)) == APPLIED
    assert await books.coins(buyer) == MOST
    assert await books.apply_one(Payment().bought(buyer)) == TOO_MANY
    assert await books.coins(buyer) == MOST
    assert await books.breaches() == {}


async def test_of_two_purchases_in_a_batch_the_one_that_fits_is_granted(
    books: Books, dear: str
) -> None:
    buyer, other = await books.profiles(2)
    outcomes = await books.apply(
        Payment().bought(buyer, sku=dear),
        Payment().bought(other),
        Payment().bought(buyer, sku=dear),
    )
    assert outcomes == [APPLIED, APPLIED, TOO_MANY]
    assert (await books.coins(buyer), await books.coins(other)) == (HALF, COINS)


async def test_what_was_spent_counts_among_all_that_was_purchased(books: Books, dear: str) -> None:
    buyer, streamer = await books.profiles(2)
    await books.apply(Payment().bought(buyer, sku=dear), gift(buyer, streamer, 1, gift_type=dear))
    assert await books.coins(buyer) == 0
    assert await books.apply_one(Payment().bought(buyer, sku=dear)) == TOO_MANY


@pytest.mark.parametrize("provider", ["apple", "google"])
async def test_a_stores_purchase_that_does_not_fit_is_held(books: Books, provider: str) -> None:
    await books.db.execute(PRICE_LIST)
    buyer = await books.profile(coins=MOST)
    assert await books.apply_one(Sale(provider).sold(buyer)) == TOO_MANY


async def test_a_recorded_purchase_that_does_not_fit_is_refused_and_leaves_nothing(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend = await books.profile(coins=10), await signed_in(role="service_role")
    assert isinstance(await refused(buy(backend, buyer, coins=MOST)), PurchaseOverLimit)
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 0
    assert await buy(backend, buyer, coins=MOST - 10) == ("confirmed", MOST, False)


@pytest.mark.usefixtures("_named")
async def test_a_person_can_not_approve_what_does_not_fit_until_there_is_room(
    books: Books,
) -> None:
    buyer = await books.profile(coins=MOST)
    held = await hold(books, Payment().bought(buyer), "over_limit")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await approve(books.db, held)
    assert caught.value.sqlstate == AccountFull.sqlstate
    await books.adjust(buyer, -COINS)
    assert await approve(books.db, held) == GRANTED
    assert await event_of(books, held) == APPLIED


@pytest.fixture
async def _named(books: Books) -> None:
    """Everybody is who they say: fleet.deciding_person has tests of its own."""
    await books.db.execute(
        "create or replace function fleet.deciding_person(p_who text) returns text"
        " language sql stable set search_path = '', pg_temp as 'select p_who'"
    )


async def test_what_was_taken_back_keeps_its_room(books: Books) -> None:
    buyer, payment, later = await books.profile(), Payment(), Payment()
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(payment.refund(40))
    assert isinstance(await refused(books.adjust(buyer, MOST - 60)), AccountFull)
    await books.adjust(buyer, MOST - 100)
    assert await books.apply_one(later.bought(buyer)) == TOO_MANY
    assert await books.apply_one(payment.refund(40, status="failed")) == APPLIED
    assert await books.coins(buyer) == MOST
    assert await books.breaches() == {}


async def test_an_adjustment_that_does_not_fit_is_refused(books: Books) -> None:
    profile = await books.profile(coins=1)
    assert isinstance(await refused(books.adjust(profile, MOST)), AccountFull)
    assert await books.adjust(profile, MOST - 1) == MOST


async def senders(books: Books, number: int) -> list[UUID]:
    return await books.profiles(number, coins=HALF)


async def test_a_gift_whose_streamer_can_not_count_it_is_refused(
    books: Books, signed_in: SignIn, dear: str
) -> None:
    (first, second, third), streamer = await senders(books, 3), await books.profile()
    assert await books.apply_one(gift(first, streamer, 1, gift_type=dear)) == APPLIED
    assert await books.apply_one(gift(second, streamer, 1, gift_type=dear)) == FULL
    viewer = await signed_in(third)
    assert isinstance(await refused(give(viewer, streamer, gift_type=dear)), AccountFull)
    assert await books.coins(second) == await books.coins(third) == HALF
    assert await books.earnings(streamer) == HALF
    assert await give(viewer, streamer) == (HALF - 1, False)
    assert await books.breaches() == {}


async def test_of_two_such_gifts_in_a_batch_the_first_is_given(books: Books, dear: str) -> None:
    (first, second), streamer = await senders(books, 2), await books.profile()
    outcomes = await books.apply(
        gift(first, streamer, 1, gift_type=dear), gift(second, streamer, 1, gift_type=dear)
    )
    assert outcomes == [APPLIED, FULL]


async def test_a_sender_who_has_given_all_that_can_be_counted_gives_no_more(
    books: Books, dear: str
) -> None:
    sender, streamer, other = await books.profiles(3)
    for to in (streamer, other):
        await books.adjust(sender, HALF)
        outcome = await books.apply_one(gift(sender, to, 1, gift_type=dear))
    assert outcome == FULL
    assert await books.coins(sender) == HALF


async def test_a_stream_is_given_no_more_than_can_be_counted(books: Books, dear: str) -> None:
    (first, second), (streamer, guest) = await senders(books, 2), await books.profiles(2)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    await books.db.execute("update fleet.recent_gifts_horizon set counted_from = '-infinity'")
    given = [
        gift(first, streamer, 1, gift_type=dear, stream_id=stream),
        gift(second, guest, 1, gift_type=dear, stream_id=stream),
    ]
    assert await books.apply(*given) == [APPLIED, FULL]
    assert await books.apply_one(given[1]) == FULL
    assert await books.apply_one(gift(second, guest, 1, gift_type=dear)) == APPLIED
    assert await books.breaches() == {}


@pytest.mark.parametrize(
    ("of", "full"),
    [
        ("sender", "total_spent"),
        ("sender", "total_gifts_sent"),
        ("streamer", "earnings_balance"),
        ("streamer", "total_gifts_received"),
        ("stream", "recent_gift_coins"),
    ],
)
async def test_each_sum_that_a_gift_adds_to_takes_what_fits_and_no_more(
    books: Books, of: str, full: str
) -> None:
    (sender, other), (streamer, guest) = await books.profiles(2, coins=9), await books.profiles(2)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    table = "live_streams" if of == "stream" else "profiles"
    add = f"update public.{table} set {full} = {full} + $2::bigint where id = $1"
    row = {"sender": sender, "streamer": streamer, "stream": stream}[of]
    # Such a sum without its entries would break the books.
    undone = books.db.transaction()
    await undone.start()
    await books.db.execute(add, row, MOST - 2)
    three, two = (gift(sender, streamer, coins, stream_id=stream) for coins in (3, 2))
    assert await books.apply_one(three) == FULL
    assert await books.apply(three, gift(other, guest)) == [FULL, APPLIED]
    assert await books.apply_one(two) == APPLIED
    await undone.rollback()


async def test_whoever_is_short_of_coins_is_told_that_first(books: Books, dear: str) -> None:
    (first,), streamer = await senders(books, 1), await books.profile()
    await books.apply_one(gift(first, streamer, 1, gift_type=dear))
    assert await books.apply_one(gift(first, streamer, 1, gift_type=dear)) == SHORT
