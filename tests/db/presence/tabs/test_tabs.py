"""Several tabs of one viewer on one stream: a tab that doesn't watch ends no other tab's hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.db.presence.audience import FLAGS, Audience, at
from tests.db.presence.tabs.viewers import Viewer

pytestmark = pytest.mark.requirement("D2")


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


@pytest.mark.parametrize(("ahead", "holds"), [(15, True), (15.001, False), (45, False)])
async def test_a_hold_that_a_clock_ahead_heard_counts_up_to_15_seconds_ahead(
    viewer: Viewer, ahead: float, *, holds: bool
) -> None:
    await viewer.beat("closed", second=ahead)
    await viewer.beat("hidden", second=0, is_visible=False)
    assert await viewer.is_watching() is holds
    assert (await viewer.row())["last_active_at"] == at(0)


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


async def test_one_tab_alone_counts_like_a_client_without_tabs(
    audience: Audience, viewer: Viewer
) -> None:
    other = await audience.profile()
    story = [(0, False), (1, True), (15, True), (80, True), (90, False)]
    for second, is_visible in story:
        await viewer.beat("only", second=second, is_visible=is_visible)
        await audience.heartbeat(other, viewer.stream, second=second, is_visible=is_visible)
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
    # The public function treats an empty name as none: see test_a_client_names_its_tab_or_none.
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


# Random heartbeats


@dataclass(slots=True)
class Model:
    """The rule in Python: the row as it should be."""

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
async def test_random_heartbeats_leave_the_row_that_the_model_says(
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
