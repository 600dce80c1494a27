"""Gifts: paid from the sender's coins, split between streamer and platform, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.db.books import (
    APPLIED,
    CAKE,
    CAKE_COST,
    SHORT,
    Books,
    Outcome,
    Payment,
    gift,
)

if TYPE_CHECKING:
    from uuid import UUID

pytestmark = pytest.mark.requirement("C5")

PENDING = Outcome("pending", "insufficient_coins")


async def test_a_gift_moves_coins_to_the_streamer_and_the_platform(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    assert await books.apply_one(gift(sender, streamer, 10)) == APPLIED
    assert await books.coins(sender) == 90
    assert await books.earnings(streamer) == 7
    platform = "select sum(amount) from public.ledger_entries where account = 'platform_revenue'"
    assert await books.db.fetchval(platform) == 3


@pytest.mark.parametrize(("quantity", "share"), [(1, 1), (2, 3), (3, 4), (100, 165)])
async def test_the_streamers_share_is_rounded_down_once_per_gift(
    books: Books, quantity: int, share: int
) -> None:
    sender, streamer = await books.profile(coins=1000), await books.profile()
    await books.apply_one(gift(sender, streamer, quantity, gift_type=CAKE))
    assert await books.earnings(streamer) == share
    assert await books.coins(sender) == 1000 - quantity * CAKE_COST


@pytest.mark.parametrize(("share_bps", "share"), [(0, 0), (10_000, 10)])
async def test_a_share_of_zero_or_of_all_writes_no_entry_of_zero(
    books: Books, share_bps: int, share: int
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.db.execute("update public.gift_types set streamer_share_bps = $1", share_bps)
    assert await books.apply_one(gift(sender, streamer, 10)) == APPLIED
    assert await books.earnings(streamer) == share


@pytest.mark.requirement("E gifts")
async def test_a_gift_counts_in_both_sides_totals(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    await books.apply(gift(sender, streamer, 10), gift(sender, streamer, 5))
    totals = (
        "select total_spent, total_gifts_sent, total_gifts_received"
        " from public.profiles where id = $1"
    )
    assert tuple(await books.db.fetchrow(totals, sender) or ()) == (15, 15, 0)
    assert tuple(await books.db.fetchrow(totals, streamer) or ()) == (0, 0, 15)


async def test_gifts_of_one_sender_are_judged_one_after_the_other(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    outcomes = await books.apply(*(gift(sender, streamer, coins) for coins in (60, 70, 30, 10)))
    assert outcomes == [APPLIED, SHORT, APPLIED, APPLIED]
    assert await books.coins(sender) == 0


@pytest.mark.requirement("C2")
async def test_senders_of_a_batch_do_not_share_a_balance(books: Books) -> None:
    first, second, streamer = (
        await books.profile(10),
        await books.profile(10),
        await books.profile(),
    )
    gifts = (gift(first, streamer, 10), gift(second, streamer, 10), gift(first, streamer, 1))
    assert await books.apply(*gifts) == [APPLIED, APPLIED, SHORT]


@pytest.mark.requirement("C1")
async def test_earnings_cannot_be_given_away(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    gifts = (gift(sender, streamer, 10), gift(streamer, sender, 1))
    assert await books.apply(*gifts) == [APPLIED, SHORT]


@pytest.mark.requirement("H2")
async def test_a_top_up_counts_for_the_gift_before_it_in_its_batch(books: Books) -> None:
    sender, streamer = await books.profiles(2)
    assert await books.apply(gift(sender, streamer, 100), Payment().bought(sender)) == [APPLIED] * 2


@pytest.mark.requirement("C12")
async def test_a_gift_records_stream_and_slot(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    await books.apply_one(gift(sender, streamer, 2, stream_id=stream, slot_index=12))
    kept = await books.db.fetchrow("select stream_id, slot_index, quantity from public.gifts")
    assert tuple(kept or ()) == (stream, 12, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gift_type": "nothing"}, "unknown_gift_type"),
        ({"gift_type": "gone"}, "unknown_gift_type"),
        ({"sender_id": uuid4()}, "unknown_sender"),
        ({"recipient_id": uuid4()}, "unknown_recipient"),
        ({"stream_id": 404}, "unknown_stream"),
        ({"quantity": 11}, "insufficient_coins"),
    ],
)
async def test_a_gift_that_can_not_be_given_is_rejected_with_its_reason(
    books: Books, changes: dict[str, Any], reason: str
) -> None:
    (sender, other), streamer = await books.profiles(2, coins=10), await books.profile()
    impossible, refused = gift(sender, streamer, **changes), Outcome("rejected", reason)
    assert await books.apply_one(impossible) == refused
    # What a gift needs is looked up otherwise for several at once.
    assert await books.apply(impossible, gift(other, streamer)) == [refused, APPLIED]
    assert (await books.coins(sender), await books.coins(other)) == (10, 9)


async def test_a_gift_that_costs_more_than_a_bigint_is_refused_for_want_of_coins(
    books: Books,
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.db.execute("update public.gift_types set coin_cost = 2::bigint ^ 62")
    huge = gift(sender, streamer, 2)
    assert await books.apply_one(huge) == Outcome("rejected", "insufficient_coins")


async def test_a_gift_to_oneself_is_refused(books: Books) -> None:
    sender = await books.profile(coins=10)
    assert await books.apply_one(gift(sender, sender)) == Outcome("rejected", "self_gift")


# Too few coins: earlier events may bring them


async def short_gift_behind_an_open_event(books: Books) -> tuple[UUID, int]:
    """A gift of 100 coins that its sender doesn't have, tried while an earlier event is pending."""
    sender, streamer = await books.profiles(2)
    top_up, short = await books.receive(Payment().bought(sender), gift(sender, streamer, 100))
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = $2 where id = $1",
        top_up,
        books.now.replace(minute=1),
    )
    assert await books.work() == {short: PENDING}
    return sender, short


async def test_a_gift_short_of_coins_waits_while_an_earlier_event_is_pending(books: Books) -> None:
    _, short = await short_gift_behind_an_open_event(books)
    books.wait(seconds=4.9)
    assert await books.work() == {short: PENDING}


async def test_a_gift_that_waited_finds_its_top_up(books: Books) -> None:
    sender, short = await short_gift_behind_an_open_event(books)
    await books.db.execute("update fleet.inbox_events set next_attempt_at = received_at")
    books.wait(seconds=1)
    assert (await books.work())[short] == APPLIED
    assert await books.coins(sender) == 0


async def test_a_gift_short_of_coins_is_decided_after_five_seconds(books: Books) -> None:
    _, short = await short_gift_behind_an_open_event(books)
    books.wait(seconds=5)
    assert await books.work() == {short: SHORT}


async def test_a_gift_short_of_coins_is_decided_at_once_when_nothing_earlier_is_open(
    books: Books,
) -> None:
    sender, streamer = await books.profiles(2)
    short, later = await books.receive(gift(sender, streamer), Payment().bought(sender))
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = $2 where id = $1",
        later,
        books.now.replace(minute=1),
    )
    assert await books.work() == {short: SHORT}


async def test_a_gift_short_of_coins_waits_for_an_earlier_event_that_failed_beside_it(
    books: Books,
) -> None:
    sender, streamer = await books.profiles(2)
    top_up, short = await books.receive(Payment().bought(sender), gift(sender, streamer, 100))
    await fail_purchases(books)
    assert await books.work() == {top_up: Outcome("pending"), short: PENDING}
    await books.db.execute("drop trigger fails on public.coin_purchases")
    books.wait(seconds=2)
    assert await books.work() == {top_up: APPLIED, short: APPLIED}


async def fail_purchases(books: Books) -> None:
    """Make every purchase fail for an unexpected reason."""
    await books.db.execute(
        """
        create function public.fail() returns trigger language plpgsql as
        $$ begin raise exception 'unforeseen'; end $$;
        create trigger fails before insert on public.coin_purchases
        for each row execute function public.fail();
        """
    )
