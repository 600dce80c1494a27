"""The recent gift coins on live_streams, kept by a trigger and by housekeeping (requirement E)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.db.books import Books, gift
from tests.db.presence.audience import WATCH, Audience, streams_locked

if TYPE_CHECKING:
    from uuid import UUID

    from tests.conftest import Connect, SignIn

ROUNDS = 20


@pytest_asyncio.fixture
async def live(books: Books) -> Books:
    """The books at the present time: gifts are recent only now."""
    books.now = datetime.now(UTC)
    return books


async def sender_and_streamer(books: Books, streams: int = 1) -> tuple[UUID, UUID, list[int]]:
    """A sender with coins, a streamer and their streams."""
    sender, streamer = await books.profile(coins=1_000), await books.profile()
    rows = await books.db.fetch(
        "insert into public.live_streams (profile_id) select $1 from generate_series(1, $2)"
        " returning id",
        streamer,
        streams,
    )
    return sender, streamer, [row["id"] for row in rows]


async def recent(books: Books, *stream_ids: int) -> list[int]:
    """The recent coins of streams."""
    rows = await books.db.fetch(
        "select recent_gift_coins from public.live_streams where id = any($1) order by id",
        stream_ids,
    )
    return [row["recent_gift_coins"] for row in rows]


async def age(books: Books, **later: float) -> bool:
    """Age the recent coins at a later time; return whether none is left to age."""
    done: bool = await books.db.fetchval(
        "select fleet.age_recent_gifts($1)", books.now + timedelta(**later)
    )
    return done


@pytest.mark.requirement("E recent")
async def test_a_gift_adds_its_coins_to_its_streams_recent_ones(live: Books) -> None:
    sender, streamer, (one, other) = await sender_and_streamer(live, streams=2)
    await live.apply(
        gift(sender, streamer, 3, stream_id=one),
        gift(sender, streamer, 4, stream_id=other),
        gift(sender, streamer, 5, stream_id=one),
        gift(sender, streamer, 6),
    )
    assert await recent(live, one, other) == [8, 4]


@pytest.mark.requirement("E recent")
async def test_a_gift_of_a_client_is_recent_at_once(live: Books, signed_in: SignIn) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    client = await signed_in(sender)
    give = "select public.process_gift($1, 'rose', 'key', 2, $2)"
    for _ in range(2):
        await client.execute(give, streamer, stream)
    assert await recent(live, stream) == [2]


@pytest.mark.requirement("E recent")
async def test_a_gift_is_recent_for_an_hour(live: Books) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    await live.apply(gift(sender, streamer, 3, stream_id=stream))
    assert await age(live, minutes=59.9)
    assert await recent(live, stream) == [3]
    assert await age(live, minutes=60)
    assert await recent(live, stream) == [0]


@pytest.mark.requirement("E recent")
async def test_each_gift_grows_old_in_its_own_time_and_once(live: Books) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    await live.apply(gift(sender, streamer, 3, stream_id=stream))
    live.wait(minutes=30)
    await live.apply(gift(sender, streamer, 4, stream_id=stream))
    for _ in range(2):
        await age(live, minutes=31)
        assert await recent(live, stream) == [4]


@pytest.mark.requirement("E recent")
async def test_after_a_long_pause_each_call_ages_one_hour_of_gifts(live: Books) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    await live.apply(gift(sender, streamer, 3, stream_id=stream))
    calls = 1
    while not await age(live, hours=5):
        calls += 1
    assert calls == 5
    assert await recent(live, stream) == [0]


@pytest.mark.requirement("E recent")
async def test_a_gift_of_the_past_is_not_recent(live: Books) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    live.wait(days=-1)
    await live.apply(gift(sender, streamer, 3, stream_id=stream))
    assert await recent(live, stream) == [0]


async def test_a_money_batch_never_waits_for_a_stream(live: Books, connect: Connect) -> None:
    sender, streamer, (stream,) = await sender_and_streamer(live)
    async with streams_locked(connect):
        await live.apply(gift(sender, streamer, 3, stream_id=stream))
        assert await recent(live, stream) == [0]
    await age(live, hours=1)
    await live.db.execute("select public.update_publish_state_from_viewers()")
    assert await recent(live, stream) == [0]


@pytest.mark.requirement("E viewers")
async def test_money_viewers_sweeps_and_recomputes_on_the_same_streams_never_deadlock(
    live: Books, connect: Connect
) -> None:
    sender, streamer, streams = await sender_and_streamer(live, streams=10)
    watching, sweeping = Audience(await connect()), Audience(await connect())
    viewer = await watching.profile()
    await live.db.execute("update public.live_streams set live_available = true")

    async def give() -> None:
        for _ in range(ROUNDS):
            await live.apply(*(gift(sender, streamer, 1, stream_id=id_) for id_ in streams))

    async def watch() -> None:
        for no in range(ROUNDS):
            await watching.db.execute(WATCH, streams[::-1], viewer)
            await watching.sweep(second=10**9 + no)

    async def recompute() -> None:
        for no in range(ROUNDS):
            await sweeping.recompute(second=10**9 + no)

    await asyncio.gather(give(), watch(), recompute())
    await sweeping.recompute(second=2 * 10**9)
    assert await recent(live, *streams) == [ROUNDS] * 10
