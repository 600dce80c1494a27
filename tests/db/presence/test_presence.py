"""Presence: who counts as a viewer, which streams are published, and who is swept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db import presence
from tests.conditions import somebody_waits_for_a_lock
from tests.db.presence.audience import FLAGS, HEARTBEAT, Audience, at

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect, SignIn


@pytest.mark.requirement("D3", "H12")
async def test_a_stream_is_published_while_somebody_watches(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream)
    assert await audience.recompute() == {stream: True}
    assert await audience.published() == {stream}


@pytest.mark.requirement("D1", "D3")
@pytest.mark.parametrize("flag", FLAGS)
async def test_a_viewer_counts_only_while_all_four_flags_hold(
    audience: Audience, viewer: UUID, stream: int, flag: str
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    await audience.heartbeat(viewer, stream, second=1, **{flag: False})
    assert await audience.recompute(second=1) == {stream: False}


@pytest.mark.requirement("H4")
async def test_a_viewer_counts_until_exactly_60_seconds_of_silence(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    assert await audience.recompute(second=59.999) == {}
    assert await audience.recompute(second=60) == {stream: False}


@pytest.mark.requirement("D3", "D5")
async def test_a_gap_shorter_than_60_seconds_does_not_unpublish(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    switched = []
    for second in (0, 59, 118, 177):
        await audience.heartbeat(viewer, stream, second=second)
        switched.append(await audience.recompute(second=second))
    assert switched == [{stream: True}, {}, {}, {}]


@pytest.mark.requirement("D3", "H3")
async def test_a_viewer_who_comes_back_publishes_again(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    await audience.recompute(second=70)
    await audience.heartbeat(viewer, stream, second=71)
    assert await audience.recompute(second=71) == {stream: True}


@pytest.mark.requirement("H3")
async def test_one_viewer_of_two_is_enough(audience: Audience, viewer: UUID, stream: int) -> None:
    other = await audience.profile()
    await audience.heartbeat(viewer, stream, second=0)
    await audience.heartbeat(other, stream, second=30)
    await audience.recompute(second=30)
    assert await audience.recompute(second=61) == {}
    assert await audience.recompute(second=90) == {stream: False}


@pytest.mark.requirement("D1")
async def test_a_streamer_who_watches_their_own_stream_counts(audience: Audience) -> None:
    stream = await audience.stream()
    owner = await audience.db.fetchval("select profile_id from public.live_streams")
    await audience.heartbeat(owner, stream)
    assert await audience.recompute() == {stream: True}


@pytest.mark.requirement("D3")
async def test_an_unavailable_stream_is_not_published(audience: Audience, viewer: UUID) -> None:
    stream = await audience.stream(live_available=False)
    await audience.heartbeat(viewer, stream)
    assert await audience.recompute() == {}


@pytest.mark.requirement("D3")
async def test_a_stream_that_becomes_available_is_published_for_those_who_wait(
    audience: Audience, viewer: UUID
) -> None:
    stream = await audience.stream(live_available=False)
    await audience.heartbeat(viewer, stream)
    await audience.recompute()
    await audience.db.execute("update public.live_streams set live_available = true")
    assert await audience.recompute() == {stream: True}


@pytest.mark.requirement("D3", "E live")
async def test_switching_a_stream_off_unpublishes_it_at_once(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream)
    await audience.recompute()
    await audience.db.execute("update public.live_streams set live_available = false")
    assert await audience.published() == set()
    assert await audience.db.fetchval("select ended_at is not null from public.live_streams")


@pytest.mark.requirement("D3")
async def test_a_viewer_counts_on_the_four_newest_activations_only(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(6)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.recompute(second=6)
    assert await audience.published() == set(streams[2:])


async def test_a_fifth_stream_takes_the_place_of_the_oldest(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(5)]
    for second, stream in enumerate(streams[:4]):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.recompute(second=4)
    await audience.heartbeat(viewer, streams[4], second=5)
    assert await audience.recompute(second=5) == {streams[0]: False, streams[4]: True}


@pytest.mark.requirement("D2")
async def test_a_heartbeat_is_no_new_activation(audience: Audience, viewer: UUID) -> None:
    streams = [await audience.stream() for _ in range(5)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.heartbeat(viewer, streams[0], second=10)
    await audience.recompute(second=10)
    assert await audience.published() == set(streams[1:])


async def test_switching_a_flag_off_and_on_is_a_new_activation(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(5)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.heartbeat(viewer, streams[0], second=10, is_visible=False)
    await audience.heartbeat(viewer, streams[0], second=11)
    await audience.recompute(second=11)
    assert await audience.published() == {streams[0], *streams[2:]}


async def test_coming_back_after_60_seconds_of_silence_is_a_new_activation(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(5)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    for stream in streams[1:]:
        await audience.heartbeat(viewer, stream, second=50)
    await audience.heartbeat(viewer, streams[0], second=60)
    await audience.recompute(second=60)
    assert await audience.published() == {streams[0], *streams[2:]}


@pytest.mark.requirement("D3")
@pytest.mark.parametrize("left", [1, 3])
async def test_streams_beyond_four_count_when_newer_ones_are_left(
    audience: Audience, viewer: UUID, left: int
) -> None:
    streams = [await audience.stream() for _ in range(7)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.recompute(second=7)
    await audience.db.execute(
        "delete from public.active_viewers where stream_id = any($1)", streams[7 - left :]
    )
    await audience.recompute(second=8)
    assert await audience.published() == set(streams[3 - left : 7 - left])


async def test_a_silent_stream_makes_room_for_an_older_activation(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(5)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.recompute(second=5)
    for stream in streams[:4]:
        await audience.heartbeat(viewer, stream, second=30)
    assert await audience.recompute(second=64) == {streams[0]: True, streams[4]: False}


async def test_a_changed_limit_counts_from_the_next_recompute(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(2)]
    for second, stream in enumerate(streams):
        await audience.heartbeat(viewer, stream, second=second)
    await audience.recompute(second=2)
    await audience.db.execute("update fleet.settings set max_active_streams_per_viewer = 1")
    assert await audience.recompute(second=3) == {streams[0]: False}


async def test_a_recompute_without_change_writes_no_stream(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    before = await audience.db.fetch("select ctid, xmin from public.live_streams")
    await audience.heartbeat(viewer, stream, second=10)
    await audience.recompute(second=10)
    assert await audience.db.fetch("select ctid, xmin from public.live_streams") == before


async def test_a_recompute_takes_the_oldest_marks_up_to_its_bound(
    audience: Audience, viewer: UUID
) -> None:
    streams = [await audience.stream() for _ in range(2)]
    await audience.recompute(second=0)
    for stream in reversed(streams):
        await audience.heartbeat(viewer, stream, second=1)
    bounded = "select stream_id from fleet.recompute_publish_state($1, 1)"
    for stream in reversed(streams):
        assert await audience.db.fetchval(bounded, at(2)) == stream


async def test_a_change_without_a_mark_is_found_within_an_hour(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=3_590)
    await audience.db.execute("delete from fleet.publish_marks")
    assert await audience.recompute(second=3_595) == {}
    assert await audience.recompute(second=3_601) == {stream: True}


@pytest.mark.requirement("D4", "H4")
async def test_the_sweep_removes_viewers_after_60_seconds_of_silence(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    assert await audience.sweep(second=59.999) == 0
    assert await audience.sweep(second=60) == 1


@pytest.mark.requirement("D3", "D5")
async def test_a_swept_viewer_unpublishes_even_if_no_recompute_saw_the_silence(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    await audience.sweep(second=70)
    assert await audience.recompute(second=71) == {stream: False}


@pytest.mark.requirement("D4")
async def test_a_sweep_is_bounded(audience: Audience, viewer: UUID) -> None:
    for _ in range(3):
        await audience.heartbeat(viewer, await audience.stream())
    assert await audience.db.fetchval("select fleet.sweep_viewers($1, 2)", at(99)) == 2


async def test_a_change_committed_after_a_recompute_is_seen_by_the_next(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    watching = Audience(await connect())
    async with watching.db.transaction():
        await watching.heartbeat(viewer, stream, second=1)
        assert await audience.recompute(second=2) == {}
    assert await audience.recompute(second=3) == {stream: True}


async def test_two_recomputes_run_one_after_the_other_and_the_later_change_counts(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    first, second = Audience(await connect()), Audience(await connect())
    async with first.db.transaction():
        assert await first.recompute(second=60) == {stream: False}
        await audience.heartbeat(await audience.profile(), stream, second=61)
        other = asyncio.create_task(second.recompute(second=62))
        await somebody_waits_for_a_lock(audience.db)
    assert await other == {stream: True}


async def test_a_clock_that_went_back_leaves_nobody_silent(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    await audience.recompute(second=65)
    assert await audience.recompute(second=50) == {stream: True}


@pytest.mark.requirement("D3", "D4")
@pytest.mark.parametrize(
    "call",
    [
        "select public.update_publish_state_from_viewers()",
        "select public.cleanup_stale_viewers()",
        "select fleet.recompute_publish_state('2999-01-01')",
        "update public.live_streams set is_published = true",
        "update public.active_viewers set last_active_at = '2999-01-01'",
    ],
)
@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_clients_neither_sweep_nor_publish(
    viewer: UUID, signed_in: SignIn, role: str, call: str
) -> None:
    client = await signed_in(viewer, role=role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.execute(call)


@pytest.mark.requirement("D4")
async def test_the_worker_recomputes_and_sweeps_by_the_databases_clock(
    db: Connection, viewer: UUID, stream: int, signed_in: SignIn, worker_pool: Pool
) -> None:
    client = await signed_in(viewer)
    await client.execute(HEARTBEAT, stream)
    assert await presence.update_publish_state(worker_pool) == [
        presence.SwitchedStream(presence.StreamId(stream), is_published=True)
    ]
    await db.execute("update public.active_viewers set last_active_at = now() - interval '61 s'")
    assert await presence.update_publish_state(worker_pool) == [
        presence.SwitchedStream(presence.StreamId(stream), is_published=False)
    ]
    assert await presence.remove_stale_viewers(worker_pool) == 1
