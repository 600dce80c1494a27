"""Viewers and gifts noted by a clock that was ahead: they count right once it is set right."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.db.books import NOON, Books, gift
from tests.db.clocks.ahead import AHEAD

if TYPE_CHECKING:
    from uuid import UUID

    from tests.conftest import Connect
    from tests.db.presence.audience import Audience


# Presence


@AHEAD
async def test_a_stream_is_unpublished_whose_viewer_was_heard_by_a_clock_ahead(
    audience: Audience, viewer: UUID, stream: int, ahead: timedelta
) -> None:
    seconds = ahead.total_seconds()
    await audience.heartbeat(viewer, stream, second=seconds)
    assert await audience.recompute(second=seconds) == {stream: True}
    assert await audience.recompute(second=1) == {stream: False}
    assert await audience.sweep(second=2) == 1
    # The old time comes, and the viewer has left long ago.
    assert await audience.recompute(second=seconds) == {}


@AHEAD
async def test_a_viewer_who_still_watches_after_the_clock_is_set_right_counts_again(
    audience: Audience, viewer: UUID, stream: int, ahead: timedelta
) -> None:
    seconds = ahead.total_seconds()
    await audience.heartbeat(viewer, stream, second=seconds)
    await audience.recompute(second=seconds)
    await audience.heartbeat(viewer, stream, second=1)
    assert await audience.recompute(second=2) == {}
    assert await audience.published() == {stream}
    assert await audience.sweep(second=3) == 0
    assert await audience.recompute(second=62) == {stream: False}


async def test_a_clock_a_few_seconds_ahead_switches_nothing(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=30)
    await audience.recompute(second=30)
    assert await audience.recompute(second=0) == {}
    assert await audience.sweep(second=0) == 0


@AHEAD
async def test_streams_activated_by_a_clock_ahead_do_not_outlast_the_newest(
    audience: Audience, viewer: UUID, ahead: timedelta
) -> None:
    old = [await audience.stream() for _ in range(4)]
    new = await audience.stream()
    for stream in old:
        await audience.heartbeat(viewer, stream, second=ahead.total_seconds())
    for stream in old:
        await audience.heartbeat(viewer, stream, second=1)
    await audience.heartbeat(viewer, new, second=2)
    await audience.recompute(second=3)
    assert new in await audience.published()
    assert len(await audience.published()) == 4


@AHEAD
async def test_streams_that_a_clock_ahead_heard_last_take_no_place_of_another(
    audience: Audience, viewer: UUID, ahead: timedelta
) -> None:
    for _ in range(4):
        await audience.heartbeat(viewer, await audience.stream(), second=ahead.total_seconds())
    watched = await audience.stream()
    await audience.heartbeat(viewer, watched, second=1)
    assert await audience.recompute(second=2) == {watched: True}


async def test_a_change_without_a_mark_is_found_though_a_clock_ahead_looked_at_everything(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.recompute(second=5 * 3_600)
    await audience.recompute(second=0)
    await audience.heartbeat(viewer, stream, second=3_601)
    await audience.db.execute("delete from fleet.publish_marks")
    assert await audience.recompute(second=3_602) == {stream: True}


# Sums of gifts


async def given(books: Books, stream: int, *, coins: int = 5) -> None:
    """Send a gift on the stream at the books' time."""
    sender, streamer = await books.profile(coins=coins), await books.profile()
    await books.apply(gift(sender, streamer, coins, stream_id=stream))


async def recent(books: Books) -> int:
    """Return the coins that the stream shows when no change is late."""
    while not await books.db.fetchval("select fleet.age_recent_gifts($1)", books.now):
        pass
    await books.db.execute("select fleet.fold_stream_changes()")
    coins: int = await books.db.fetchval("select recent_gift_coins from public.live_streams")
    return coins


# A year has half a million minutes, which are folded in one by one.
@pytest.mark.commits
@pytest.mark.parametrize(
    "ahead",
    [
        timedelta(minutes=20),
        timedelta(hours=5),
        pytest.param(timedelta(days=365), marks=pytest.mark.long),
    ],
    ids=str,
)
async def test_gifts_are_recent_for_an_hour_after_a_clock_that_was_ahead(
    books: Books, audience: Audience, ahead: timedelta
) -> None:
    stream = await audience.stream()
    await books.db.execute("update fleet.recent_gifts_horizon set counted_from = $1", NOON)
    books.now = NOON + ahead + timedelta(hours=2)
    await given(books, stream)
    assert await recent(books) == 5
    books.now = NOON + timedelta(hours=2)
    assert await recent(books) == (5 if ahead < timedelta(hours=1) else 0)
    books.wait(seconds=1)
    await given(books, stream, coins=3)
    assert await recent(books) == (8 if ahead < timedelta(hours=1) else 3)
    books.wait(minutes=61)
    assert await recent(books) == (5 if ahead < timedelta(hours=1) else 0)
    # The time comes that the clock had shown.
    books.now = NOON + ahead + timedelta(hours=4)
    assert await recent(books) == 0


async def test_a_gift_that_is_being_given_while_the_horizon_goes_back_is_counted(
    books: Books, audience: Audience, connect: Connect
) -> None:
    stream = await audience.stream()
    await books.db.execute(
        "update fleet.recent_gifts_horizon set counted_from = $1", NOON + timedelta(days=365)
    )
    late = Books(await connect())
    late.wait(seconds=1)
    async with late.db.transaction():
        await given(late, stream)
        assert await recent(books) == 0
    assert await recent(books) == 5


@AHEAD
async def test_boards_keep_a_period_that_a_clock_ahead_had_ended(
    books: Books, ahead: timedelta
) -> None:
    refresh = "select fleet.refresh_leaderboard($1)"
    boards = "select period, coins from public.leaderboard_cache where board = 'top_gifters'"
    sender, streamer = await books.profile(coins=9), await books.profile()
    await books.apply(gift(sender, streamer, 7))
    for _ in range(1_000):
        await books.db.execute(refresh, books.now)
        # While an older transaction runs, such as one of autovacuum, newer gifts are not counted.
        if before := await books.db.fetch(boards):
            break
    await books.db.execute(refresh, books.now + ahead)
    await books.db.execute(refresh, books.now)
    assert len(before) == 4
    assert {tuple(row) for row in await books.db.fetch(boards)} == {tuple(row) for row in before}
