"""The leaderboards (D6): each gift counts once, however gifts commit and refreshes overlap."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from db import leaderboard
from tests.db.books import NOON, Books, gift
from tests.db.social.boards import GIFTERS, PERIODS, STREAMERS, board, refresh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect


# Leaderboards count only what is committed.
pytestmark = [pytest.mark.commits, pytest.mark.requirement("D6")]


async def test_a_gift_counts_for_both_sides_in_every_period(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.apply(gift(sender, streamer, 7))
    await refresh(books)
    for period in PERIODS:
        assert await board(books, GIFTERS, period) == [(sender, 7)]
        assert await board(books, STREAMERS, period) == [(streamer, 7)]


async def test_boards_are_ordered_by_coins(books: Books) -> None:
    one, two, three = await books.profiles(3, coins=100)
    streamer = await books.profile()
    await books.apply(
        gift(one, streamer, 5), gift(two, streamer, 9), gift(three, two, 6), gift(one, streamer, 2)
    )
    await refresh(books)
    assert await board(books, GIFTERS) == [(two, 9), (one, 7), (three, 6)]
    assert await board(books, STREAMERS) == [(streamer, 16), (two, 6)]


async def test_new_gifts_add_to_what_was_counted_and_overtake(books: Books) -> None:
    one, two = await books.profiles(2, coins=100)
    streamer = await books.profile()
    for sender, coins in ((one, 5), (two, 4), (two, 4)):
        await books.apply(gift(sender, streamer, coins))
        await refresh(books)
    assert await board(books, GIFTERS, "day") == [(two, 8), (one, 5)]


async def test_a_refresh_without_new_gifts_writes_no_line(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.apply(gift(sender, streamer))
    await refresh(books)
    lines = "select ctid, refreshed_at from public.leaderboard_cache order by board, period, rank"
    before = await books.db.fetch(lines)
    await refresh(books)
    assert await books.db.fetch(lines) == before


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("later", "left"),
    [
        # NOON is a Monday, 4 May.
        ({"hours": 11, "minutes": 59}, {"day", "week", "month", "all_time"}),
        ({"hours": 12}, {"week", "month", "all_time"}),
        ({"days": 6}, {"week", "month", "all_time"}),
        ({"days": 7}, {"month", "all_time"}),
        ({"days": 28}, {"all_time"}),
    ],
)
async def test_a_gift_leaves_the_board_of_a_period_with_it(
    books: Books, later: dict[str, float], left: set[str]
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.apply(gift(sender, streamer))
    await refresh(books)
    books.wait(**later)
    await refresh(books)
    assert {period for period in PERIODS if await board(books, GIFTERS, period)} == left


async def test_a_gift_of_yesterday_counted_today_is_yesterdays(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await refresh(books)
    await books.apply(gift(sender, streamer))
    books.wait(days=1)
    await refresh(books)
    assert await board(books, GIFTERS, "day") == []
    assert await board(books, GIFTERS, "week") == [(sender, 1)]


async def test_sums_of_periods_that_ended_are_forgotten(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.apply(gift(sender, streamer))
    await refresh(books)
    books.wait(days=60)
    await refresh(books)
    periods = await books.db.fetch("select distinct period from fleet.leaderboard_sums")
    assert {row["period"] for row in periods} == {"all_time"}


async def test_a_board_holds_a_hundred(books: Books) -> None:
    streamer, *senders = await books.profiles(104, coins=200)
    await books.apply(*(gift(sender, streamer, no) for no, sender in enumerate(senders, 1)))
    await refresh(books)
    ranked = await board(books, GIFTERS)
    assert [coins for _, coins in ranked] == list(range(103, 3, -1))


# Counted once


async def test_a_gift_that_commits_late_is_counted_by_a_later_refresh(
    books: Books, connect: Connect
) -> None:
    (slow, his), (quick, hers) = await books.profiles(2, coins=10), await books.profiles(2, coins=9)
    late = Books(await connect())
    await books.receive(gift(slow, his, 2), gift(quick, hers, 3))
    async with late.db.transaction():
        assert len(await late.work(limit=1)) == 1
        assert len(await books.work()) == 1
        await refresh(books)
        # The later transaction has committed; it is counted once the earlier one has ended.
        assert await board(books, GIFTERS) == []
    await refresh(books)
    assert await board(books, GIFTERS) == [(quick, 3), (slow, 2)]


async def test_a_slice_counts_whole_transactions_and_all_slices_everything(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    await refresh(books)
    for _ in range(5):
        await books.apply(gift(sender, streamer, 1), gift(sender, streamer, 2))
    slices = 1
    while not await refresh(books, limit=4):
        slices += 1
    assert slices > 2
    assert await board(books, GIFTERS) == [(sender, 15)]


async def test_overlapping_refreshes_count_each_gift_once(books: Books, worker_pool: Pool) -> None:
    sender, streamer = await books.profile(coins=1_000), await books.profile()

    async def give() -> None:
        for _ in range(30):
            await books.apply(gift(sender, streamer, 1), gift(sender, streamer, 1))

    async def refresh_often() -> None:
        for _ in range(15):
            await leaderboard.refresh_leaderboard(worker_pool, limit=7)

    await asyncio.gather(give(), refresh_often(), refresh_often())
    while not await leaderboard.refresh_leaderboard(worker_pool):
        pass
    assert await board(books, GIFTERS) == [(sender, 60)]


async def test_without_a_checkpoint_every_gift_is_counted_anew(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    await books.apply(gift(sender, streamer, 2))
    await refresh(books)
    await books.apply(gift(sender, streamer, 3))
    await books.db.execute("update fleet.leaderboard_horizon set upto_xid = null")
    for _ in range(2):
        await refresh(books)
        assert await board(books, GIFTERS, "month") == [(sender, 5)]


async def test_counting_anew_leaves_out_what_a_later_refresh_will_find(
    books: Books, connect: Connect
) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    holder = await connect()
    async with holder.transaction():
        # What runs at the same time is after the horizon, committed or not.
        await holder.execute("select pg_current_xact_id()")
        await books.apply(gift(sender, streamer, 2))
        await refresh(books)
        assert await board(books, GIFTERS) == []
    await refresh(books)
    assert await board(books, GIFTERS) == [(sender, 2)]


async def test_a_checkpoint_ahead_of_the_cluster_is_that_of_another(books: Books) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    await books.apply(gift(sender, streamer, 2))
    await refresh(books)
    await books.db.execute("update fleet.leaderboard_horizon set upto_xid = '1000000000000'")
    # Neither counted already nor found by a later refresh that starts at the horizon.
    await books.apply(gift(sender, streamer, 3))
    await refresh(books)
    assert await board(books, GIFTERS) == [(sender, 5)]


# Read during a refresh, and proved


async def test_a_reader_sees_the_board_before_or_after_a_refresh(
    books: Books, connect: Connect
) -> None:
    sender, streamer = await books.profile(coins=100), await books.profile()
    await books.apply(gift(sender, streamer, 2))
    await refresh(books)
    await books.apply(gift(sender, streamer, 3))
    refreshing = Books(await connect())
    async with refreshing.db.transaction():
        await refresh(refreshing)
        assert await board(books, GIFTERS) == [(sender, 2)]
    assert await board(books, GIFTERS) == [(sender, 5)]


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "drift",
    [
        "update fleet.leaderboard_sums set coins = coins + 1 where period = 'day'",
        "delete from fleet.leaderboard_sums where period = 'all_time' and board = 'top_gifters'",
        (
            "insert into fleet.leaderboard_sums"
            " select board, period, starts_on, gen_random_uuid(), 1"
            " from fleet.leaderboard_sums where period = 'week' limit 1"
        ),
    ],
)
async def test_a_sum_that_drifted_is_found(books: Books, drift: str) -> None:
    # An hour ago, but today.
    books.now = datetime.now(UTC) - timedelta(minutes=min(60, datetime.now(UTC).hour * 60))
    sender, streamer = await books.profile(coins=100), await books.profile()
    await books.apply(gift(sender, streamer, 2))
    for _ in range(3):
        await refresh(books)
        books.wait(minutes=2)
    async with undone(books.db):
        await books.db.execute(drift)
        assert set(await books.breaches()) == {"leaderboard_sums_match_gifts"}


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("drift", "invariant"),
    [
        ("update public.profiles set follower_count = 1", "follower_counts_match_follows"),
        ("update public.live_streams set active_viewer_count = 1", "viewer_counts_match_viewers"),
        ("update public.live_streams set recent_gift_coins = 1", "recent_gift_coins_match_gifts"),
        (("insert into fleet.stream_changes (stream_id, viewers, coins)"
         " select id, 1, 0 from public.live_streams"), "viewer_counts_match_viewers"),
    ],
)  # fmt: skip
async def test_a_counter_that_drifted_is_found(books: Books, drift: str, invariant: str) -> None:
    await books.db.execute(
        "insert into public.live_streams (profile_id) values ($1)", await books.profile()
    )
    async with undone(books.db):
        await books.db.execute(drift)
        assert set(await books.breaches()) == {invariant}


@asynccontextmanager
async def undone(db: Connection) -> AsyncIterator[None]:
    """A transaction that is rolled back, so that the test's books end right."""
    transaction = db.transaction()
    await transaction.start()
    yield
    await transaction.rollback()


@pytest.mark.parametrize(
    ("period", "day", "start"),
    [
        ("day", date(2026, 5, 4), date(2026, 5, 4)),
        ("week", date(2026, 5, 4), date(2026, 5, 4)),
        ("week", date(2026, 5, 10), date(2026, 5, 4)),
        ("week", date(2027, 1, 1), date(2026, 12, 28)),
        ("month", date(2026, 5, 31), date(2026, 5, 1)),
        ("all_time", date(2026, 5, 4), date.min),
    ],
)
async def test_periods_begin_on_their_first_day_and_weeks_on_monday(
    db: Connection, period: str, day: date, start: date
) -> None:
    assert await db.fetchval("select fleet.period_start($1, $2)", period, day) == start


def test_noon_is_a_monday() -> None:
    assert NOON.weekday() == 0
    assert (NOON + timedelta(days=28)).month == 6
