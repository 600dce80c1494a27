"""Heartbeats with tabs as gateways and clients send them, at once and during a release."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from db.release.schema import expected
from tests.db.presence.audience import Audience, at, entry
from tests.db.presence.tabs.viewers import Viewer
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("D2")

SEEN = "select public.update_viewer_heartbeat($1, true, true, true, true, $2)"
HIDDEN = "select public.update_viewer_heartbeat($1, true, true, false, true, $2)"


# Several tabs in one call of a gateway


@pytest.mark.parametrize("order", [1, -1])
async def test_tabs_of_one_call_count_together_in_any_order(
    audience: Audience, viewer: Viewer, order: int
) -> None:
    beats = [
        entry(viewer.id, viewer.stream, tab="watching"),
        entry(viewer.id, viewer.stream, tab="hidden", is_visible=False),
        entry(viewer.id, viewer.stream, tab=7, is_active=False),
    ]
    for second in (0, 12):
        assert await audience.gateway_call(*beats[::order], second=second) == []
        assert await viewer.is_watching()
        row = await viewer.row()
        assert json.loads(row["tabs"]).keys() == {"watching", "hidden", "7"}
        assert row["last_active_at"] == at(second)


async def test_the_last_of_several_entries_of_one_tab_counts(
    audience: Audience, viewer: Viewer
) -> None:
    on, off = (entry(viewer.id, viewer.stream, tab="a", is_visible=each) for each in (True, False))
    await audience.gateway_call(on, off)
    assert not await viewer.is_watching()
    await audience.gateway_call(off, on)
    assert await viewer.is_watching()


async def test_an_entry_without_a_tab_overrules_the_tabs_before_it(
    audience: Audience, viewer: Viewer
) -> None:
    watching = entry(viewer.id, viewer.stream, tab="a")
    off = entry(viewer.id, viewer.stream, is_visible=False)
    await audience.gateway_call(watching, off)
    assert not await viewer.is_watching()
    await audience.gateway_call(off, watching)
    assert await viewer.is_watching()


async def test_an_entry_without_a_tab_overrules_the_tabs_of_earlier_calls_too(
    audience: Audience, viewer: Viewer
) -> None:
    await audience.gateway_call(entry(viewer.id, viewer.stream, tab="a"))
    unnamed = entry(viewer.id, viewer.stream, is_visible=False)
    await audience.gateway_call(unnamed, entry(viewer.id, viewer.stream, tab="b", is_active=False))
    assert not await viewer.is_watching()
    assert json.loads((await viewer.row())["tabs"]).keys() == {"", "b"}


@pytest.mark.parametrize("tab", ["0", "watching"])
@pytest.mark.parametrize("place", [0, 8])
async def test_of_nine_tabs_in_one_call_the_one_that_watches_is_kept(
    audience: Audience, viewer: Viewer, tab: str, place: int
) -> None:
    beats = [
        entry(viewer.id, viewer.stream, tab=f"hid{number}", is_visible=False) for number in range(8)
    ]
    beats.insert(place, entry(viewer.id, viewer.stream, tab=tab))
    for second in (0, 12):
        await audience.gateway_call(*beats, second=second)
        tabs = json.loads((await viewer.row())["tabs"])
        assert len(tabs) == 8
        assert tabs[tab][1]
    await viewer.beat("hidden again", second=13, is_visible=False)
    assert await viewer.is_watching()


@pytest.mark.parametrize("nonsense", ["x" * 65, {}, [], True, {"a": 1}])
async def test_an_invalid_tab_is_named_and_harms_no_other_entry(
    audience: Audience, viewer: Viewer, nonsense: object
) -> None:
    other = await audience.profile()
    assert await audience.gateway_call(
        entry(viewer.id, viewer.stream, tab=nonsense),
        entry(other, viewer.stream, tab="é" * 64),
    ) == [(viewer.stream, viewer.id, "invalid_tab")]
    assert await audience.db.fetchval("select array_agg(viewer_id) from public.active_viewers") == [
        other
    ]


# The client's call


async def test_a_client_names_its_tab_or_none(
    db: Connection, viewer: Viewer, signed_in: SignIn
) -> None:
    client = await signed_in(viewer.id)
    await client.execute(SEEN, viewer.stream, "é" * 64)
    await client.execute(HIDDEN, viewer.stream, "b")
    assert await viewer.is_watching()
    for unnamed in ("", None):
        await client.execute(HIDDEN, viewer.stream, unnamed)
        assert not await viewer.is_watching()
        await client.execute(SEEN, viewer.stream, unnamed)
        assert await viewer.is_watching()


async def test_a_tabs_name_has_at_most_64_characters(viewer: Viewer, signed_in: SignIn) -> None:
    client = await signed_in(viewer.id)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="64 characters"):
        await client.execute(SEEN, viewer.stream, "x" * 65)


async def test_a_tab_of_an_unknown_stream_or_profile_is_refused(
    viewer: Viewer, signed_in: SignIn
) -> None:
    for who, stream, code in ((viewer.id, 404, "CF007"), (uuid4(), viewer.stream, "CF006")):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await (await signed_in(who)).execute(SEEN, stream, "a")
        assert refused.value.sqlstate == code


async def test_nobody_writes_tabs_but_by_a_heartbeat(
    viewer: Viewer, signed_in: SignIn, subtests: pytest.Subtests
) -> None:
    writes = (
        "update public.active_viewers set tabs = '{\"x\": [99999999999, true]}'",
        "insert into public.active_viewers (tabs) values ('{}')",
        "select fleet.record_tab_heartbeat(auth.uid(), 1, true, true, true, true, 'a', now())",
    )
    for role in ("authenticated", "service_role"):
        client = await signed_in(viewer.id, role=role)
        for write in writes:
            with (
                subtests.test(role=role, write=write),
                pytest.raises(asyncpg.InsufficientPrivilegeError),
            ):
                await client.execute(write)


async def test_flags_written_directly_never_prolong_a_hold(
    viewer: Viewer, signed_in: SignIn
) -> None:
    await viewer.beat("a", second=0)
    client = await signed_in(viewer.id)
    await client.execute("update public.active_viewers set is_visible = false")
    assert not await viewer.is_watching()
    await client.execute("update public.active_viewers set is_visible = true")
    await viewer.beat("b", second=30, is_visible=False)
    assert (await viewer.row())["last_active_at"] == at(0)


# Races and the release


async def test_two_tabs_that_come_at_once_are_both_known(
    audience: Audience, viewer: Viewer, connect: Connect
) -> None:
    first, second = Audience(await connect()), Audience(await connect())
    one, two = replace(viewer, audience=first), replace(viewer, audience=second)
    await second_waits_for_first(
        audience.db,
        first=first.db,
        first_work=one.beat("watching", second=0),
        second=second.db,
        second_work=two.beat("hidden", second=0, is_visible=False),
    )
    assert await viewer.is_watching()
    assert json.loads((await viewer.row())["tabs"]).keys() == {"watching", "hidden"}


OLD = """
drop function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean, text);
create function public.update_viewer_heartbeat(
    p_stream_id bigint, p_is_active boolean, p_is_unmuted boolean, p_is_visible boolean,
    p_is_subscribed boolean
) returns void language sql as '';
"""

SIGNATURES = """
select pronargs from pg_proc where pronamespace = 'public'::regnamespace
and proname = 'update_viewer_heartbeat'
"""
(NEW,) = (f.sql for f in expected() if f.name == "public.update_viewer_heartbeat")


async def test_the_new_signature_replaces_the_old_one_and_clients_go_on(
    db: Connection, viewer: Viewer, signed_in: SignIn
) -> None:
    client = await signed_in(viewer.id)
    async with db.transaction():
        await db.execute(OLD)
    # A release does this with one file, and applies the policies at its end.
    async with db.transaction():
        await db.execute(NEW)
    assert [row[0] for row in await db.fetch(SIGNATURES)] == [6]
    old_call = "select public.update_viewer_heartbeat($1, true, true, true, true)"
    await client.execute(old_call, viewer.stream)
    assert await viewer.is_watching()


async def test_somebody_elses_function_of_that_name_is_not_dropped(db: Connection) -> None:
    async with db.transaction():
        await db.execute(OLD)
        await db.execute(
            "delete from fleet.schema_objects where name like '%.update_viewer_heartbeat'"
        )
    with pytest.raises(asyncpg.RaiseError, match="rename it"):
        async with db.transaction():
            await db.execute(NEW)
    assert [row[0] for row in await db.fetch(SIGNATURES)] == [5]
