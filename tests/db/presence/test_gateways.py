"""Heartbeats by a gateway: one call for many viewers counts like one call of each viewer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.clusters import LOGINS
from tests.db.access.attacks import refused
from tests.db.books import breaches
from tests.db.presence.audience import FLAGS, Audience, entry
from tests.db.races import blocked, second_waits_for_first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.clusters import Login
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("D2")

CALL = "select stream_id, viewer_id, reason from public.update_viewer_heartbeats($1)"
VIEWERS = "select viewer_id from public.active_viewers where activated_at is not null"
ROUNDS = 20


@pytest_asyncio.fixture
async def audience(db: Connection) -> AsyncIterator[Audience]:
    """Viewers and streams; each counter is right when the test ends."""
    yield Audience(db)
    assert await breaches(db) == {}


@pytest_asyncio.fixture
async def gateway(signed_in: SignIn) -> Connection:
    """A gateway's connection, with the backend's key."""
    return await signed_in(role="service_role")


async def watching(db: Connection) -> set[UUID]:
    """The viewers who are noted with all four flags."""
    return {row["viewer_id"] for row in await db.fetch(VIEWERS)}


async def test_a_gateways_call_counts_for_all_its_viewers(
    audience: Audience, gateway: Connection, stream: int
) -> None:
    viewers = [await audience.profile() for _ in range(5)]
    other = await audience.stream()
    entries = [entry(viewer, [stream, other][no % 2]) for no, viewer in enumerate(viewers)]
    assert await gateway.fetch(CALL, json.dumps(entries)) == []
    assert await watching(audience.db) == set(viewers)
    await audience.db.execute("select public.update_publish_state_from_viewers()")
    assert await audience.published() == {stream, other}


async def test_a_call_writes_the_same_as_single_heartbeats(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    other = await audience.profile()
    story = [(0, False), (1, True), (15, True), (80, True), (90, False)]
    for second, is_visible in story:
        await audience.heartbeat(viewer, stream, second=second, is_visible=is_visible)
        await audience.gateway_call(entry(other, stream, is_visible=is_visible), second=second)
        rows = await audience.db.fetch(
            "select is_active, is_unmuted, is_visible, is_subscribed, last_active_at, activated_at"
            " from public.active_viewers"
        )
        assert len(rows) == 2
        assert rows[0] == rows[1]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("value", [None, False, "true", 1, {}, [True]])
async def test_only_the_value_true_sets_a_flag(
    audience: Audience, viewer: UUID, stream: int, flag: str, value: object
) -> None:
    heartbeat = entry(viewer, stream)
    await audience.gateway_call(heartbeat | {flag: value})
    held = await audience.db.fetchrow(f"select {', '.join(FLAGS)} from public.active_viewers")
    assert held is not None
    assert dict(held) == dict.fromkeys(FLAGS, True) | {flag: False}


async def test_a_flag_that_is_missing_does_not_hold(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.gateway_call({"stream_id": stream, "viewer_id": str(viewer), "is_active": True})
    assert await watching(audience.db) == set()


async def test_an_unknown_stream_or_viewer_is_named_and_harms_no_other_entry(
    audience: Audience, gateway: Connection, viewer: UUID, stream: int
) -> None:
    nobody = uuid4()
    entries = [entry(nobody, stream), entry(viewer, 404), entry(viewer, stream)]
    assert [tuple(row) for row in await gateway.fetch(CALL, json.dumps(entries))] == [
        (stream, nobody, "unknown_profile"),
        (404, viewer, "unknown_stream"),
    ]
    assert await watching(audience.db) == {viewer}


@pytest.mark.parametrize("nonsense", ["abc", "", -1, 1.5, 2**63, 10**400, None, [], {}, "1 "])
async def test_an_invalid_id_is_named_and_harms_no_other_entry(
    audience: Audience, viewer: UUID, stream: int, nonsense: object
) -> None:
    entries = [
        {"viewer_id": nonsense, "stream_id": stream},
        {"viewer_id": str(viewer), "stream_id": nonsense},
        entry(viewer, stream),
    ]
    assert await audience.gateway_call(*entries) == [
        (stream, None, "unknown_profile"),
        (None, viewer, "unknown_stream"),
    ]
    assert await watching(audience.db) == {viewer}


async def test_entries_that_are_no_objects_harm_no_other_entry(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    entries = [1, "x", None, [], {}, ["stream_id"], entry(viewer, stream), True]
    assert await audience.gateway_call(*entries) == [(None, None, "unknown_stream")]
    assert await watching(audience.db) == {viewer}


async def test_ids_are_read_as_text_too(audience: Audience, viewer: UUID, stream: int) -> None:
    assert await audience.gateway_call(entry(str(viewer).upper(), str(stream))) == []
    assert await watching(audience.db) == {viewer}


@pytest.mark.parametrize("last", [True, False])
async def test_the_last_of_several_entries_of_a_viewer_on_a_stream_counts(
    audience: Audience, viewer: UUID, stream: int, *, last: bool
) -> None:
    entries = [entry(viewer, stream, is_visible=visible) for visible in (not last, last)]
    await audience.gateway_call(*entries)
    assert await watching(audience.db) == ({viewer} if last else set())


async def test_a_call_without_entries_does_nothing(gateway: Connection) -> None:
    assert await gateway.fetch(CALL, "[]") == []


async def test_more_than_a_thousand_entries_are_refused_as_a_whole(
    audience: Audience, gateway: Connection, viewer: UUID
) -> None:
    streams = await audience.db.fetch(
        "insert into public.live_streams (profile_id) select $1 from generate_series(1, 1001)"
        " returning id",
        viewer,
    )
    entries = [entry(viewer, row["id"]) for row in streams]
    with pytest.raises(asyncpg.InvalidParameterValueError, match="not 1001"):
        await gateway.fetch(CALL, json.dumps(entries))
    assert await audience.db.fetchval("select count(*) from public.active_viewers") == 0
    assert await gateway.fetch(CALL, json.dumps(entries[:1000])) == []
    assert await audience.db.fetchval("select count(*) from public.active_viewers") == 1000


@pytest.mark.parametrize("given", [None, "null", "{}", '{"stream_id": 1}', '"[]"', "1"])
async def test_a_call_without_an_array_is_refused(gateway: Connection, given: str | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="JSON array"):
        await gateway.fetch(CALL, given)


@pytest.mark.parametrize("given", ["", "[", "[1,]", '["\\u0000"]'])
async def test_a_call_without_json_is_refused(gateway: Connection, given: str) -> None:
    with pytest.raises(asyncpg.DataError):
        await gateway.fetch(CALL, given)


async def test_a_call_that_changes_no_flag_writes_no_stream_and_marks_nothing(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    streams = "select ctid, xmin from public.live_streams"
    await audience.gateway_call(entry(viewer, stream), second=0)
    await audience.recompute(second=0)
    before = await audience.db.fetch(streams)
    for second in (0, 15):
        assert await audience.gateway_call(entry(viewer, stream), second=second) == []
    assert await audience.db.fetch(streams) == before
    for table in ("fleet.publish_marks", "fleet.stream_changes"):
        assert await audience.db.fetchval(f"select count(*) from {table}") == 0


async def test_joining_viewers_write_each_stream_once(audience: Audience) -> None:
    streams = [await audience.stream() for _ in range(3)]
    viewers = [await audience.profile() for _ in range(4)]
    updates = "select pg_stat_get_xact_tuples_updated('public.live_streams'::regclass)"
    async with audience.db.transaction():
        before = await audience.db.fetchval(updates)
        await audience.gateway_call(*(entry(v, s) for v in viewers for s in streams))
        assert await audience.db.fetchval(updates) == before + 3


# Who may call, and what a call can't say


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_a_client_sends_no_heartbeats_of_others(
    viewer: UUID, signed_in: SignIn, role: str
) -> None:
    await refused((await signed_in(viewer, role=role)).fetch(CALL, "[]"))


@pytest.mark.parametrize("login", LOGINS)
async def test_no_process_of_the_fleet_is_a_gateway(connect: Connect, login: Login) -> None:
    await refused((await connect(login)).fetch(CALL, "[]"))


async def test_a_gateway_cannot_say_when_a_viewer_was_heard(
    audience: Audience, gateway: Connection, viewer: UUID, stream: int
) -> None:
    times = dict.fromkeys(("last_active_at", "activated_at", "p_now"), "2999-01-01")
    await gateway.execute(CALL, json.dumps([entry(viewer, stream, **times)]))
    assert await audience.db.fetchval(
        "select last_active_at <= clock_timestamp() and activated_at <= clock_timestamp()"
        " from public.active_viewers"
    )
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await gateway.execute("select public.update_viewer_heartbeats('[]', p_now => now())")


# At the same time as a sweep, and as other calls


@pytest.mark.requirement("D4")
async def test_a_call_under_way_is_not_swept(audience: Audience, connect: Connect) -> None:
    stream, viewers = await audience.stream(), [await audience.profile() for _ in range(3)]
    entries = [entry(viewer, stream) for viewer in viewers]
    await audience.gateway_call(*entries, second=0)
    beating = Audience(await connect())
    async with beating.db.transaction():
        await beating.gateway_call(*entries, second=70)
        assert await audience.sweep(second=71) == 0
    assert await audience.sweep(second=71) == 0
    assert await watching(audience.db) == set(viewers)


@pytest.mark.requirement("D4")
async def test_a_call_that_waited_for_the_sweep_brings_all_its_viewers_back(
    audience: Audience, connect: Connect
) -> None:
    stream, viewers = await audience.stream(), [await audience.profile() for _ in range(3)]
    entries = [entry(viewer, stream) for viewer in viewers]
    await audience.gateway_call(*entries, second=0)
    sweeping, beating = Audience(await connect()), Audience(await connect())
    swept, unknown = await second_waits_for_first(
        audience.db,
        first=sweeping.db,
        first_work=sweeping.sweep(second=70),
        second=beating.db,
        second_work=beating.gateway_call(*entries, second=71),
    )
    assert (swept, unknown) == (3, [])
    assert await watching(audience.db) == set(viewers)
    assert await audience.recompute(second=71) == {stream: True}


@pytest.mark.parametrize("known", [True, False])
async def test_a_call_that_waits_for_a_viewer_holds_none_behind_it(
    audience: Audience, connect: Connect, stream: int, *, known: bool
) -> None:
    one, other = sorted([await audience.profile(), await audience.profile()])
    if known:
        await audience.gateway_call(entry(one, stream), entry(other, stream))
    first, second = Audience(await connect()), Audience(await connect())
    transaction = first.db.transaction()
    await transaction.start()
    await first.gateway_call(entry(one, stream))
    both = second.gateway_call(entry(other, stream), entry(one, stream))
    async with blocked(audience.db, second.db, both) as held:
        await first.gateway_call(entry(other, stream))
        await transaction.commit()
    assert held.result() == []
    assert await watching(audience.db) == {one, other}


@pytest.mark.requirement("D4")
async def test_gateways_with_the_same_viewers_in_opposite_order_and_a_sweep_never_deadlock(
    audience: Audience, connect: Connect
) -> None:
    streams = [await audience.stream() for _ in range(3)]
    viewers = [await audience.profile() for _ in range(10)]
    pairs = [(viewer, stream) for viewer in viewers for stream in streams]
    here, there, sweeping = [Audience(await connect()) for _ in range(3)]

    async def beat(gateway: Audience, order: list[tuple[UUID, int]]) -> None:
        for no in range(ROUNDS):
            # Each round comes after a minute of silence; every second round switches a flag.
            entries = [entry(*pair, is_visible=no % 2 == 1) for pair in order]
            assert await gateway.gateway_call(*entries, second=60 * no) == []

    async def sweep() -> None:
        for no in range(ROUNDS):
            await sweeping.sweep(second=60 * no)

    await asyncio.gather(beat(here, pairs), beat(there, pairs[::-1]), sweep())
    assert await watching(audience.db) == set(viewers)
    await audience.recompute(second=60 * ROUNDS)
