"""The live numbers: one poller for all who look, and nobody who looks keeps the process running."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.connections.pool import open_pool
from db.console.sessions import Claimant, open_session
from tests.conditions import DEADLINE_S
from workers.console.feed import HEALTH_S, WATCHERS_OF_SESSION_MAX, Feed, Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database


class Clock:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def feed(console_database: Database) -> AsyncIterator[Feed]:
    """A feed that is not started: it reads when it is asked."""
    pool = await open_pool(
        console_database.url("console"), application_name="test", max_size=2, min_size=0
    )
    yield Feed(pool, held_after=timedelta(minutes=30), clock=Clock())
    pool.terminate()


async def next_of(readings: AsyncIterator[Reading]) -> Reading:
    return await asyncio.wait_for(anext(readings), DEADLINE_S)


async def test_however_many_ask_at_once_the_database_is_asked_once(feed: Feed) -> None:
    found = await asyncio.gather(*(feed.read() for _ in range(20)))
    assert {reading.number for reading in found} == {1}
    assert found[0].health is not None
    assert found[0].outage == ""


async def begin(owner: Connection) -> int:
    """Begin a session; return its id."""
    claimant = Claimant(
        subject="test ann", name="ann", role="viewer", aal="aal1", reads_payloads=False
    )
    await open_session(owner, secrets.token_bytes(32), claimant, lasts_s=600)
    found: int = await owner.fetchval("select max(id) from fleet.console_sessions")
    return found


@pytest.mark.parametrize(
    "ending", ["revoked_at = clock_timestamp(), revoked_by = 'x'", "expires_at = clock_timestamp()"]
)
async def test_who_is_signed_out_sees_no_reading_more_and_others_do(
    feed: Feed, owner: Connection, ending: str
) -> None:
    ended, going_on = await begin(owner), await begin(owner)
    watching = [feed.watch(ended), feed.watch(going_on)]
    waiting = [asyncio.ensure_future(next_of(each)) for each in watching]
    await asyncio.sleep(0)
    await owner.execute(f"update fleet.console_sessions set {ending} where id = $1", ended)
    await feed.read()
    told, untold = await asyncio.gather(*reversed(waiting), return_exceptions=True)
    assert isinstance(told, Reading)
    assert isinstance(untold, StopAsyncIteration)
    for each in watching:
        await each.aclose()  # type: ignore[attr-defined]


async def test_all_who_watch_get_the_same_reading(feed: Feed, owner: Connection) -> None:
    session = await begin(owner)
    watching = [feed.watch(session) for _ in range(5)]
    waiting = [asyncio.ensure_future(next_of(each)) for each in watching]
    await asyncio.sleep(0)
    await feed.read()
    assert len({id(reading) for reading in await asyncio.gather(*waiting)}) == 1
    for each in watching:
        await each.aclose()  # type: ignore[attr-defined]
    assert not feed.is_full(session)


async def test_one_session_takes_no_more_than_its_share_of_the_streams(
    feed: Feed, owner: Connection
) -> None:
    session, other = await begin(owner), await begin(owner)
    # They asked before any of them was counted.
    assert not feed.is_full(session)
    watching = [feed.watch(session) for _ in range(WATCHERS_OF_SESSION_MAX + 1)]
    waiting = [asyncio.ensure_future(next_of(each)) for each in watching]
    async with asyncio.timeout(DEADLINE_S):
        while not feed.is_full(session):  # noqa: ASYNC110 - nothing else tells that they began
            await asyncio.sleep(0)
    assert not feed.is_full(other)
    await feed.read()
    *told, untold = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, Reading) for each in told)
    assert isinstance(untold, StopAsyncIteration)
    for each in watching:
        await each.aclose()  # type: ignore[attr-defined]
    assert not feed.is_full(session)


async def test_a_reading_after_the_end_keeps_nobody(feed: Feed, owner: Connection) -> None:
    session = await begin(owner)
    watching = feed.watch(session)
    first = asyncio.ensure_future(next_of(watching))
    await asyncio.sleep(0)
    await feed.read()
    await first
    # Its browser takes what it was sent, the streams end, and a reading that had begun is over.
    feed.end_streams()
    clock = feed._clock
    assert isinstance(clock, Clock)
    clock.now += HEALTH_S
    await feed.read()
    with pytest.raises(StopAsyncIteration):
        await next_of(watching)


async def test_who_watches_is_let_go_when_the_process_stops(feed: Feed) -> None:
    watching = feed.watch(1)
    waiting = asyncio.ensure_future(next_of(watching))
    await asyncio.sleep(0)
    feed.end_streams()
    try:
        await waiting
    except StopAsyncIteration:
        return
    raise AssertionError("it went on")


async def test_events_per_second_are_those_finished_between_two_readings(feed: Feed) -> None:
    await feed.read()
    clock = feed._clock
    assert isinstance(clock, Clock)
    assert feed.latest.per_second is None
    clock.now += 4.0
    again = await feed.read()
    assert again.per_second == 0.0
    assert len(feed.points) == 1


async def test_a_database_that_is_gone_is_a_reading_too() -> None:
    url = "postgresql://coinfleet_console:x@127.0.0.1:1/none"
    pool = await open_pool(url, application_name="test", max_size=1, min_size=0)
    feed = Feed(pool, held_after=timedelta(minutes=30))
    reading = await feed.read()
    assert reading.signs is None
    assert reading.outage
    pool.terminate()


async def test_an_outage_is_told_once_and_so_is_its_end(feed: Feed) -> None:
    good = feed._pool
    url = "postgresql://coinfleet_console:x@127.0.0.1:1/none"
    gone = await open_pool(url, application_name="test", max_size=1, min_size=0)
    with capture_logs() as logs:
        for pool in [good, gone, gone, good, good]:
            feed._pool = pool
            await feed._take(judges=False)
    gone.terminate()
    assert [line["event"] for line in logs] == ["fleet_not_read", "fleet_read_again"]


async def test_while_nobody_looks_no_verdict_is_asked_for(feed: Feed) -> None:
    await feed._take(judges=False)
    assert feed.latest.signs is not None
    assert feed.latest.health is None
    # Whoever opens the page gets one, although the numbers are of now.
    assert (await feed.read()).health is not None
