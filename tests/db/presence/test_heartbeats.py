"""Heartbeats of clients, also at the same time as a sweep or a recompute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.conditions import somebody_waits_for_a_lock
from tests.db.presence.audience import HEARTBEAT, Audience

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("D2")


async def test_an_ordinary_heartbeat_leaves_nothing_to_look_at(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    await audience.heartbeat(viewer, stream, second=15)
    assert await audience.db.fetchval("select count(*) from fleet.publish_marks") == 0


async def test_a_heartbeat_changes_no_indexed_column(audience: Audience) -> None:
    indexed = await audience.db.fetch(
        "select distinct attname from pg_index join pg_attribute on attrelid = indrelid"
        " and attnum = any(indkey) where indrelid = 'public.active_viewers'::regclass"
    )
    assert {row["attname"] for row in indexed} == {"stream_id", "viewer_id", "activated_at"}


async def test_a_heartbeat_under_way_is_not_swept(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    beating = Audience(await connect())
    async with beating.db.transaction():
        await beating.heartbeat(viewer, stream, second=70)
        assert await audience.sweep(second=71) == 0
    assert await audience.sweep(second=71) == 0


@pytest.mark.requirement("D4")
async def test_a_heartbeat_that_waited_for_the_sweep_brings_its_viewer_back(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    sweeping = Audience(await connect())
    async with sweeping.db.transaction():
        await sweeping.sweep(second=70)
        heartbeat = asyncio.create_task(audience.heartbeat(viewer, stream, second=71))
        await somebody_waits_for_a_lock(sweeping.db)
    await heartbeat
    assert await audience.recompute(second=71) == {stream: True}


@pytest.mark.requirement("D3")
async def test_a_heartbeat_that_a_recompute_could_not_see_publishes_again(
    audience: Audience, viewer: UUID, stream: int, connect: Connect
) -> None:
    await audience.heartbeat(viewer, stream, second=0)
    await audience.recompute(second=0)
    late = Audience(await connect())
    async with late.db.transaction():
        await late.heartbeat(viewer, stream, second=59.9)
        assert await audience.recompute(second=60) == {stream: False}
    assert await audience.recompute(second=61) == {stream: True}


async def test_a_heartbeat_is_the_signed_in_viewers_own(
    db: Connection, viewer: UUID, stream: int, signed_in: SignIn
) -> None:
    client = await signed_in(viewer)
    await client.execute(HEARTBEAT, stream)
    assert await db.fetchval("select viewer_id from public.active_viewers") == viewer


async def test_a_heartbeat_without_a_viewer_is_refused(stream: int, signed_in: SignIn) -> None:
    client = await signed_in()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="signed-in viewer"):
        await client.execute(HEARTBEAT, stream)


async def test_an_anonymous_heartbeat_is_refused(stream: int, signed_in: SignIn) -> None:
    client = await signed_in(role="anon")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.execute(HEARTBEAT, stream)


async def test_a_heartbeat_on_an_unknown_stream_is_refused(viewer: UUID, signed_in: SignIn) -> None:
    client = await signed_in(viewer)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await client.execute(HEARTBEAT, 404)
    assert refused.value.sqlstate == "CF007"


async def test_a_heartbeat_of_an_unknown_profile_is_refused(stream: int, signed_in: SignIn) -> None:
    client = await signed_in(uuid4())
    with pytest.raises(asyncpg.PostgresError) as refused:
        await client.execute(HEARTBEAT, stream)
    assert refused.value.sqlstate == "CF006"


@pytest.mark.parametrize("given_time", ["p_now", "p_last_active_at"])
async def test_a_client_cannot_say_when_it_was_heard(
    viewer: UUID, stream: int, signed_in: SignIn, given_time: str
) -> None:
    client = await signed_in(viewer)
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await client.execute(
            "select public.update_viewer_heartbeat(p_stream_id => $1, p_is_active => true,"
            " p_is_unmuted => true, p_is_visible => true, p_is_subscribed => true,"
            f" {given_time} => '2999-01-01')",
            stream,
        )
