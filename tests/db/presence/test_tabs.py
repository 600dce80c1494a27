"""Several tabs of one viewer on one stream: a tab that doesn't watch undoes nothing of another."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.release.schema import expected
from tests.db.books import breaches
from tests.db.presence.audience import FLAGS, Audience, at, entry
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("D2")

ROW = f"""
select {", ".join(FLAGS)}, last_active_at, activated_at, tabs
from public.active_viewers where stream_id = $1 and viewer_id = $2
"""
SEEN = "select public.update_viewer_heartbeat($1, true, true, true, true, $2)"
HIDDEN = "select public.update_viewer_heartbeat($1, true, true, false, true, $2)"


@pytest_asyncio.fixture
async def audience(db: Connection) -> AsyncIterator[Audience]:
    """Viewers and streams; each counter is right when the test ends."""
    yield Audience(db)
    assert await breaches(db) == {}


@dataclass(frozen=True, slots=True)
class Viewer:
    """A viewer's tabs on a stream, noted one by one or as a gateway notes them."""

    audience: Audience
    id: UUID
    stream: int
    by_gateway: bool

    async def beat(self, tab: str | None, *, second: float, **off: bool) -> None:
        """One tab is heard."""
        if self.by_gateway:
            beat = entry(self.id, self.stream, tab=tab, **off)
            assert await self.audience.hear_all(beat, second=second) == []
        else:
            await self.audience.hear(self.id, self.stream, second=second, tab=tab, **off)

    async def row(self) -> asyncpg.Record:
        found = await self.audience.db.fetchrow(ROW, self.stream, self.id)
        assert found is not None
        return found

    async def is_watching(self) -> bool:
        row = await self.row()
        assert (row["activated_at"] is not None) == all(row[flag] for flag in FLAGS)
        return row["activated_at"] is not None


@pytest.fixture(params=[False, True], ids=["client", "gateway"])
def viewer(audience: Audience, viewer: UUID, stream: int, request: pytest.FixtureRequest) -> Viewer:
    """The one viewer of a test."""
    return Viewer(audience, viewer, stream, by_gateway=request.param)


@pytest.mark.parametrize("flag", FLAGS)
async def test_a_tab_that_does_not_watch_undoes_no_other_tabs_hold(
    viewer: Viewer, flag: str
) -> None:
    await viewer.beat("watching", second=0)
    await viewer.beat("hidden", second=6, **{flag: False})
    assert await viewer.is_watching()
    assert (await viewer.row())["last_active_at"] == at(0)
    assert await viewer.audience.recompute(second=6) == {viewer.stream: True}


async def test_a_stream_stays_published_while_one_tab_watches_and_another_is_hidden(
    viewer: Viewer,
) -> None:
    for second in range(0, 300, 12):
        await viewer.beat("watching", second=second)
        await viewer.beat("hidden", second=second + 6, is_visible=False)
        await viewer.audience.recompute(second=second + 6)
        assert await viewer.audience.published() == {viewer.stream}


@pytest.mark.parametrize(("second", "holds"), [(59.999, True), (60, False), (61, False)])
async def test_a_hold_counts_until_exactly_60_seconds_after_its_tab_was_heard(
    viewer: Viewer, second: float, *, holds: bool
) -> None:
    await viewer.beat("closed", second=0)
    await viewer.beat("hidden", second=second, is_visible=False)
    assert await viewer.is_watching() is holds
    assert (await viewer.row())["last_active_at"] == at(0 if holds else second)


async def test_a_stream_never_outlives_its_last_watching_tab(viewer: Viewer) -> None:
    await viewer.beat("closed", second=0)
    for second in range(12, 60, 12):
        await viewer.beat("hidden", second=second, is_visible=False)
        await viewer.audience.recompute(second=second)
    assert await viewer.audience.recompute(second=60) == {viewer.stream: False}
    assert await viewer.audience.sweep(second=60) == 1


async def test_the_row_is_as_old_as_the_newest_tab_that_watches(viewer: Viewer) -> None:
    await viewer.beat("a", second=0)
    await viewer.beat("b", second=10)
    await viewer.beat("c", second=20, is_visible=False)
    assert (await viewer.row())["last_active_at"] == at(10)


async def test_a_tab_that_ceases_to_watch_ends_its_own_hold_at_once(viewer: Viewer) -> None:
    await viewer.beat("a", second=0)
    await viewer.beat("b", second=5)
    await viewer.beat("b", second=10, is_visible=False)
    assert await viewer.is_watching()
    assert (await viewer.row())["last_active_at"] == at(0)
    await viewer.beat("a", second=12, is_unmuted=False)
    row = await viewer.row()
    assert [row[flag] for flag in FLAGS] == [True, False, True, True]
    assert row["last_active_at"] == at(12)


async def test_one_tab_alone_is_as_a_client_without_tabs(
    audience: Audience, viewer: Viewer
) -> None:
    other = await audience.profile()
    story = [(0, False), (1, True), (15, True), (80, True), (90, False)]
    for second, is_visible in story:
        await viewer.beat("only", second=second, is_visible=is_visible)
        await audience.hear(other, viewer.stream, second=second, is_visible=is_visible)
        one = await viewer.row()
        two = await replace(viewer, id=other).row()
        assert dict(one) | {"tabs": None} == dict(two)


async def test_tabs_are_one_viewer_on_four_streams_at_most(
    audience: Audience, viewer: Viewer
) -> None:
    streams = [viewer.stream] + [await audience.stream() for _ in range(4)]
    for second, stream in enumerate(streams):
        for tab in "abc":
            one = replace(viewer, stream=stream)
            await one.beat(tab, second=second, is_visible=tab == "a")
    await audience.recompute(second=5)
    assert await audience.published() == set(streams[1:])
    assert await audience.db.fetch(
        "select distinct active_viewer_count from public.live_streams"
    ) == [(1,)]


async def test_another_tab_that_joins_is_no_new_activation(viewer: Viewer) -> None:
    await viewer.beat("a", second=0)
    await viewer.beat("b", second=30)
    await viewer.beat("a", second=31, is_visible=False)
    assert (await viewer.row())["activated_at"] == at(0)


async def test_eight_tabs_are_known_and_the_oldest_is_dropped(viewer: Viewer) -> None:
    await viewer.beat("watching", second=0)
    for number in range(1, 8):
        await viewer.beat(f"hidden {number}", second=number, is_visible=False)
    assert await viewer.is_watching()
    await viewer.beat("hidden 8", second=8, is_visible=False)
    assert not await viewer.is_watching()
    tabs = json.loads((await viewer.row())["tabs"])
    assert tabs.keys() == {f"hidden {number}" for number in range(1, 9)}


async def test_a_silent_tab_is_forgotten(viewer: Viewer) -> None:
    await viewer.beat("closed", second=0)
    await viewer.beat("open", second=60)
    assert json.loads((await viewer.row())["tabs"]).keys() == {"open"}


async def test_a_time_ahead_of_the_clock_is_not_trusted_for_longer_than_a_beat(
    viewer: Viewer,
) -> None:
    await viewer.beat("a", second=1_200)
    await viewer.beat("b", second=0, is_visible=False)
    assert not await viewer.is_watching()


# Clients that name no tab


async def test_without_a_tab_the_last_beat_counts(viewer: Viewer) -> None:
    # That a client's empty name is none is the public function's to say, see below.
    for unnamed in (None, "") if viewer.by_gateway else (None,):
        await viewer.beat("a", second=0)
        await viewer.beat(unnamed, second=1, is_visible=False)
        assert not await viewer.is_watching()
        assert (await viewer.row())["tabs"] is None
        await viewer.beat(unnamed, second=2)
        assert await viewer.is_watching()


async def test_a_hold_of_a_client_without_tabs_is_not_undone_by_a_hidden_tab(
    viewer: Viewer,
) -> None:
    await viewer.beat(None, second=0)
    for second in (5, 17, 29, 59):
        await viewer.beat("hidden", second=second, is_visible=False)
        assert await viewer.is_watching()
        assert (await viewer.row())["last_active_at"] == at(0)
    await viewer.beat("hidden", second=60, is_visible=False)
    assert not await viewer.is_watching()


# Any story


@dataclass(slots=True)
class Model:
    """The rule in Python: what the row should be."""

    tabs: dict[str, tuple[float, bool]] = field(default_factory=dict)
    holds: bool = False
    heard_at: float = -1000

    def beat(self, tab: str | None, *, second: float, holds: bool) -> None:
        if tab is None:
            self.tabs, self.holds, self.heard_at = {}, holds, second
            return
        if not self.tabs and self.holds:
            self.tabs[""] = (self.heard_at, True)
        self.tabs[tab] = (second, holds)
        fresh = [item for item in self.tabs.items() if item[1][0] > second - 60]
        fresh.sort(key=lambda item: item[1][0], reverse=True)
        self.tabs = dict(fresh[:8])
        holding = [heard_at for heard_at, held in self.tabs.values() if held]
        self.holds, self.heard_at = bool(holding), max(holding, default=second)


BEATS = st.lists(
    st.tuples(
        st.sampled_from([None, *"abcdefghij"]),
        st.integers(min_value=1, max_value=70),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("by_gateway", [False, True])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(beats=BEATS)
async def test_any_story_of_beats_leaves_what_the_rule_says(
    audience: Audience, stream: int, beats: list[tuple[str | None, int, bool]], *, by_gateway: bool
) -> None:
    one = Viewer(audience, await audience.profile(), stream, by_gateway)
    model, second = Model(), 0
    for tab, pause, holds in beats:
        second += pause
        await one.beat(tab, second=second, is_visible=holds)
        model.beat(tab, second=second, holds=holds)
        row = await one.row()
        assert (await one.is_watching(), row["last_active_at"]) == (model.holds, at(model.heard_at))


# What a gateway says of several tabs in one call


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
        assert await audience.hear_all(*beats[::order], second=second) == []
        assert await viewer.is_watching()
        row = await viewer.row()
        assert json.loads(row["tabs"]).keys() == {"watching", "hidden", "7"}
        assert row["last_active_at"] == at(second)


async def test_of_several_entries_of_one_tab_the_last_counts(
    audience: Audience, viewer: Viewer
) -> None:
    on, off = (entry(viewer.id, viewer.stream, tab="a", is_visible=each) for each in (True, False))
    await audience.hear_all(on, off)
    assert not await viewer.is_watching()
    await audience.hear_all(off, on)
    assert await viewer.is_watching()


async def test_an_entry_without_a_tab_overrules_the_tabs_before_it(
    audience: Audience, viewer: Viewer
) -> None:
    watching = entry(viewer.id, viewer.stream, tab="a")
    off = entry(viewer.id, viewer.stream, is_visible=False)
    await audience.hear_all(watching, off)
    assert not await viewer.is_watching()
    await audience.hear_all(off, watching)
    assert await viewer.is_watching()


@pytest.mark.parametrize("nonsense", ["x" * 65, {}, [], True, {"a": 1}])
async def test_what_is_no_tab_is_named_and_harms_nobody_else(
    audience: Audience, viewer: Viewer, nonsense: object
) -> None:
    other = await audience.profile()
    assert await audience.hear_all(
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


@pytest.mark.parametrize(
    "write",
    [
        "update public.active_viewers set tabs = '{\"x\": [99999999999, true]}'",
        (
            "insert into public.active_viewers (stream_id, viewer_id, tabs)"
            " values (1, auth.uid(), '{}')"
        ),
        (
            "select fleet.record_tab_heartbeat("
            "auth.uid(), 1, true, true, true, true, 'a', '2999-01-01')"
        ),
    ],
)
@pytest.mark.parametrize("role", ["authenticated", "service_role"])
async def test_nobody_writes_tabs_but_by_a_heartbeat(
    viewer: Viewer, signed_in: SignIn, role: str, write: str
) -> None:
    client = await signed_in(viewer.id, role=role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
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


async def test_the_old_signature_goes_as_the_new_one_comes_and_clients_go_on(
    db: Connection, viewer: Viewer, signed_in: SignIn
) -> None:
    client = await signed_in(viewer.id)
    async with db.transaction():
        await db.execute(OLD)
    # What a release does with one file, without the policies that come at its end.
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
