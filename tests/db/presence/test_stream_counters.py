"""The viewer counters on live_streams, kept by triggers (requirement E).

Nobody waits for a counter: if a stream is locked, its change is late and folded in afterwards.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.conditions import somebody_waits_for_a_lock
from tests.db.books import breaches
from tests.db.presence.audience import FLAGS, WATCH, Audience, streams_locked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn


ROUNDS = 20


@pytest_asyncio.fixture
async def audience(db: Connection) -> AsyncIterator[Audience]:
    """Viewers and streams; each counter is right when the test ends."""
    yield Audience(db)
    assert await breaches(db) == {}


@pytest_asyncio.fixture
async def viewer(audience: Audience) -> UUID:
    """Somebody who watches."""
    return await audience.profile()


@pytest_asyncio.fixture
async def stream(audience: Audience) -> int:
    """An available stream."""
    return await audience.stream()


async def viewers(db: Connection, stream_id: int) -> int:
    """The stream's count of its viewers."""
    count: int = await db.fetchval(
        "select active_viewer_count from public.live_streams where id = $1", stream_id
    )
    return count


async def late(db: Connection) -> list[tuple[int, int, int]]:
    """The changes that are not folded in yet: stream, viewers, coins."""
    rows = await db.fetch("select stream_id, viewers, coins from fleet.stream_changes order by id")
    return [tuple(row) for row in rows]


async def versions(db: Connection) -> list[object]:
    """The place of each stream's row, which changes with each write."""
    return [
        row["ctid"] for row in await db.fetch("select ctid from public.live_streams order by id")
    ]


# Viewers


@pytest.mark.requirement("E viewers")
async def test_a_viewer_counts_from_joining_to_leaving(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream)
    assert await viewers(audience.db, stream) == 1
    await audience.db.execute("delete from public.active_viewers")
    assert await viewers(audience.db, stream) == 0


@pytest.mark.requirement("E viewers")
@pytest.mark.parametrize("flag", FLAGS)
async def test_a_viewer_who_lacks_a_flag_does_not_count(
    audience: Audience, viewer: UUID, stream: int, flag: str
) -> None:
    await audience.heartbeat(viewer, stream, second=0, **{flag: False})
    assert await viewers(audience.db, stream) == 0
    await audience.heartbeat(viewer, stream, second=1)
    assert await viewers(audience.db, stream) == 1
    await audience.heartbeat(viewer, stream, second=2, **{flag: False})
    assert await viewers(audience.db, stream) == 0


@pytest.mark.requirement("E viewers")
async def test_a_heartbeat_that_changes_no_flag_writes_no_stream_and_fires_no_counter(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    before = await versions(audience.db)
    await audience.heartbeat(viewer, stream, second=15)
    assert await versions(audience.db) == before


@pytest.mark.requirement("E viewers")
async def test_no_counter_has_a_trigger_that_every_heartbeat_fires(db: Connection) -> None:
    on_update = await db.fetch(
        """
        select tgname, tgtype & 1 = 1 as by_row, tgqual is not null as has_condition
        from pg_trigger
        where tgrelid = 'public.active_viewers'::regclass and tgtype & 16 = 16 and not tgisinternal
        """
    )
    assert {row["tgname"] for row in on_update} >= {"trigger_update_viewer_count_on_switch"}
    assert all(row["by_row"] and row["has_condition"] for row in on_update)


@pytest.mark.requirement("E viewers")
async def test_swept_viewers_are_not_counted(audience: Audience, viewer: UUID, stream: int) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.sweep(second=61)
    assert await viewers(audience.db, stream) == 0


async def test_a_statement_over_many_streams_writes_each_once(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(5)]
    others = [await audience.profile() for _ in range(3)]
    for other in others:
        await audience.db.execute(WATCH, streams, other)
    updates = "select pg_stat_get_xact_tuples_updated('public.live_streams'::regclass)"
    async with audience.db.transaction():
        before = await audience.db.fetchval(updates)
        await audience.db.execute("delete from public.active_viewers")
        assert await audience.db.fetchval(updates) == before + 5
    assert [await viewers(audience.db, stream) for stream in streams] == [0] * 5


@pytest.mark.requirement("E viewers")
async def test_a_clients_own_row_counts_too(
    audience: Audience, viewer: UUID, stream: int, signed_in: SignIn
) -> None:
    client = await signed_in(viewer)
    await client.execute(WATCH, [stream], viewer)
    assert await viewers(audience.db, stream) == 1
    await client.execute("update public.active_viewers set is_unmuted = false")
    assert await viewers(audience.db, stream) == 0
    await client.execute("update public.active_viewers set is_unmuted = true")
    await client.execute("delete from public.active_viewers")
    assert await viewers(audience.db, stream) == 0


@pytest.mark.requirement("E viewers")
async def test_a_stream_goes_with_its_viewers(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream)
    await audience.db.execute("delete from public.live_streams")
    await audience.recompute()
    assert await audience.db.fetchval("select count(*) from fleet.stream_changes") == 0


# Nobody waits for a counter


@pytest.mark.requirement("E viewers")
async def test_a_viewer_joins_and_leaves_while_the_stream_is_locked(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    other = await audience.profile()
    async with streams_locked(connect):
        await audience.heartbeat(viewer, stream, second=0)
        await audience.heartbeat(other, stream, second=0)
        await audience.heartbeat(other, stream, second=1, is_active=False)
        assert await viewers(audience.db, stream) == 0
        assert await breaches(audience.db) == {}
    await audience.recompute(second=2)
    assert await viewers(audience.db, stream) == 1


@pytest.mark.requirement("E viewers")
async def test_a_viewer_who_left_before_the_join_was_folded_in_is_not_counted_below_zero(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    async with streams_locked(connect):
        await audience.heartbeat(viewer, stream, second=0)
    await audience.db.execute("delete from public.active_viewers")
    assert await viewers(audience.db, stream) == 0
    await audience.recompute(second=1)
    assert await viewers(audience.db, stream) == 0


async def test_a_recompute_without_late_changes_writes_no_stream(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    before = await versions(audience.db)
    await audience.recompute(second=1)
    assert await versions(audience.db) == before


@pytest.mark.requirement("E viewers")
async def test_a_viewer_who_leaves_while_late_changes_are_folded_in_is_counted_once(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    other, folding, writer = await audience.profile(), await connect(), await connect()
    await audience.heartbeat(viewer, stream, second=0)
    async with streams_locked(connect):
        await audience.heartbeat(viewer, stream, second=1, is_active=False)
    async with writer.transaction():
        await writer.execute("select 1 from public.live_streams for no key update")
        # It has taken the first viewer's departure and waits for the stream.
        fold = asyncio.create_task(folding.execute("select fleet.fold_stream_changes()"))
        await somebody_waits_for_a_lock(audience.db)
        # The other joins late, and their departure is counted at once: ahead of their joining.
        await audience.heartbeat(other, stream, second=1)
        await writer.execute("delete from public.active_viewers where viewer_id = $1", other)
    await fold
    assert await breaches(audience.db) == {}
    await audience.recompute(second=2)
    assert await viewers(audience.db, stream) == 0
    assert await late(audience.db) == []


async def test_a_late_decrease_that_comes_before_its_increase_stays_late(
    audience: Audience, stream: int
) -> None:
    change = "insert into fleet.stream_changes (stream_id, viewers, coins) values ($1, $2, $3)"
    fold = "select fleet.fold_stream_changes()"
    await audience.db.execute(change, stream, -2, -3)
    await audience.db.execute(change, stream + 1, -1, -1)
    await audience.db.execute(fold)
    assert await late(audience.db) == [(stream, -2, -3)]
    await audience.db.execute(change, stream, 1, 4)
    await audience.db.execute(fold)
    assert await late(audience.db) == [(stream, -1, 0)]
    await audience.db.execute(change, stream, 1, -1)
    await audience.db.execute(fold)
    assert await late(audience.db) == []


@pytest.mark.requirement("E viewers")
async def test_viewers_of_the_same_streams_in_opposite_order_never_deadlock(
    audience: Audience, connect: Connect
) -> None:
    streams = [await audience.stream() for _ in range(20)]

    async def come_and_go(db: Connection, viewer: UUID, order: list[int]) -> None:
        for _ in range(ROUNDS):
            async with db.transaction():
                for stream in order:
                    await db.execute(WATCH, [stream], viewer)
            await db.execute("delete from public.active_viewers where viewer_id = $1", viewer)
        await db.execute(WATCH, order, viewer)

    one, other = await audience.profile(), await audience.profile()
    await asyncio.gather(
        come_and_go(await connect(), one, streams),
        come_and_go(await connect(), other, streams[::-1]),
    )
    await audience.recompute()
    assert {await viewers(audience.db, stream) for stream in streams} == {2}


@pytest.mark.requirement("E")
async def test_the_triggers_that_stay_keep_their_names(db: Connection) -> None:
    triggers = await db.fetch(
        """
        select tgname::text, tgrelid::regclass::text, tgfoid::regproc::text
        from pg_trigger where not tgisinternal and tgname = 'trigger_' || tgfoid::regproc
        """
    )
    assert {tuple(row) for row in triggers} == {
        (f"trigger_{function}", table, function)
        for table, function in (
            ("follows", "update_follower_count"),
            ("live_streams", "update_live_status"),
            ("active_viewers", "update_viewer_count"),
            ("gifts", "update_recent_gifts"),
        )
    }
