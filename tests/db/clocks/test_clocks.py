"""A clock that was ahead and is set right: no stored time is trusted further than its pause."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db import housekeeping, ticks
from db.health.readiness import signs_of_life
from db.health.vital_signs import read_vital_signs
from db.health.workers import read_workers
from tests.db.books import APPLIED, NOON, SHORT, Books, Payment, gift
from tests.db.inbox.test_housekeeping import receive

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.db.presence.audience import Audience

AHEAD = pytest.mark.parametrize(
    "ahead", [timedelta(minutes=20), timedelta(hours=5), timedelta(days=365)], ids=str
)
OPEN = "select tick from fleet.add_tick('job', $1, 0, $2)"


async def fire(db: Connection, at: object, *, every_s: int = 10) -> list[int]:
    """Fire a job at a moment; gives the ticks to ring for."""
    return [row["tick"] for row in await db.fetch(OPEN, every_s, at)]


async def done(db: Connection, tick: int, at: object) -> bool:
    """Claim the tick and finish it; says whether it could be claimed."""
    attempt = await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, at)
    if attempt:
        await db.execute("select fleet.finish_tick('job', $1, $2)", tick, at)
    return attempt is not None


# Clocks


@AHEAD
@pytest.mark.parametrize("every_s", [10, 60, 86_400])
async def test_a_tick_opens_at_its_time_after_one_of_a_clock_that_was_ahead(
    db: Connection, ahead: timedelta, every_s: int
) -> None:
    [early] = await fire(db, NOON + ahead, every_s=every_s)
    assert await done(db, early, NOON + ahead)
    opened: set[int] = set()
    for no in range(3):
        for tick in await fire(db, NOON + timedelta(seconds=no * every_s), every_s=every_s):
            opened.add(tick)
            assert await done(db, tick, NOON + timedelta(seconds=no * every_s))
    assert len(opened) >= 2
    assert max(opened) == int((NOON.timestamp() + 2 * every_s) // every_s)


@AHEAD
async def test_a_tick_that_was_opened_by_a_clock_ahead_is_done_at_once(
    db: Connection, ahead: timedelta
) -> None:
    [tick] = await fire(db, NOON + ahead)
    assert await fire(db, NOON) == [tick]
    assert [row["tick"] for row in await db.fetch("select * from fleet.due_ticks($1)", NOON)] == [
        tick
    ]
    assert await done(db, tick, NOON)
    assert await fire(db, NOON + timedelta(seconds=10)) == [
        int(NOON.timestamp()) // 10 + 1,
    ]


@AHEAD
async def test_a_tick_claimed_by_a_clock_ahead_is_claimed_again(
    db: Connection, ahead: timedelta
) -> None:
    [tick] = await fire(db, NOON + ahead)
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON + ahead) == 1
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) == 2


async def test_a_claimed_tick_still_has_its_five_seconds(db: Connection) -> None:
    [tick] = await fire(db, NOON)
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) == 1
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) is None


@AHEAD
async def test_a_job_done_by_a_clock_ahead_is_missed_by_nobody(
    db: Connection, ahead: timedelta
) -> None:
    for at in (NOON + ahead, NOON + ahead + timedelta(seconds=10)):
        [tick] = await fire(db, at)
        assert await done(db, tick, at)
    await fire(db, NOON)
    assert await db.fetchval("select missed_total from fleet.schedules") == 0


@AHEAD
async def test_a_scheduler_that_fired_ahead_of_now_is_no_sign_of_life(
    db: Connection, database: Database, ahead: timedelta
) -> None:
    now = await db.fetchval("select clock_timestamp()")
    await ticks.open_tick(db, "job", every_s=10, offset_s=0)
    await db.execute("update fleet.schedules set fired_at = $1", now + ahead)
    await db.execute(
        "insert into fleet.worker_reports (worker, started_at, last_doorbell_at)"
        " values ('w', $1, $1)",
        now + ahead,
    )
    signs = await signs_of_life(database.url(), since=now)
    assert not signs.scheduler_fired
    assert not signs.worker_answered


@AHEAD
async def test_a_worker_that_reported_ahead_of_now_is_not_alive_and_is_forgotten(
    db: Connection, pool: Pool, ahead: timedelta
) -> None:
    await db.execute(
        "insert into fleet.worker_reports (worker, started_at, reported_at)"
        " values ('w', clock_timestamp(), clock_timestamp() + $1)",
        ahead,
    )
    assert [worker.is_alive for worker in await read_workers(pool)] == [False]
    await housekeeping.trim_history(pool)
    assert len(await read_workers(pool)) == (ahead < timedelta(hours=1))


@AHEAD
async def test_a_web_process_that_reported_ahead_of_now_is_not_alive_and_is_forgotten(
    db: Connection, pool: Pool, ahead: timedelta
) -> None:
    await db.execute(
        "insert into fleet.web_reports (web, started_at, reported_at, detail)"
        " select w, clock_timestamp(), clock_timestamp() + n * $1::interval, '{}'"
        " from unnest('{lives,ahead}'::text[], '{0,1}'::integer[]) as u (w, n)",
        ahead,
    )
    alive = "select web from fleet.web_statuses() where is_alive"
    assert await db.fetchval(alive) == "lives"
    await housekeeping.trim_history(pool)
    left = await db.fetchval("select count(*) from fleet.web_reports")
    assert left == 1 + (ahead < timedelta(hours=1))
    await db.execute("delete from fleet.web_reports where web = 'lives'")
    await housekeeping.trim_history(pool)
    assert await db.fetchval("select count(*) from fleet.web_reports") == left - 1


@AHEAD
@pytest.mark.parametrize(
    "write",
    [
        "insert into fleet.schedules (job, cadence_s, offset_s, fired_at) values ('job', 1, 0, $1)",
        "insert into fleet.worker_reports (worker, started_at, reported_at) values ('w', $1, $1)",
        (
            "insert into fleet.inbox_events (provider, provider_event_id, event_type,"
            " payload_sha256, received_at) values ('app', 'e', 't', '', $1)"
        ),
        (
            "insert into fleet.proofs (kind, violations, started_at, finished_at)"
            " values ('new', 0, $1, $1)"
        ),
    ],
)
async def test_the_vital_signs_say_how_far_stored_times_are_ahead(
    db: Connection, web_pool: Pool, ahead: timedelta, write: str
) -> None:
    assert (await read_vital_signs(web_pool, timeout_s=5)).clock_behind_s == 0
    await db.execute(write, await db.fetchval("select clock_timestamp()") + ahead)
    signs = await read_vital_signs(web_pool, timeout_s=5)
    assert ahead.total_seconds() - 60 < signs.clock_behind_s <= ahead.total_seconds()


# Presence


@AHEAD
async def test_a_stream_is_unpublished_whose_viewer_was_heard_by_a_clock_ahead(
    audience: Audience, viewer: UUID, stream: int, ahead: timedelta
) -> None:
    seconds = ahead.total_seconds()
    await audience.hear(viewer, stream, second=seconds)
    assert await audience.recompute(second=seconds) == {stream: True}
    assert await audience.recompute(second=1) == {stream: False}
    assert await audience.sweep(second=2) == 1
    # The time comes, and the viewer left long ago.
    assert await audience.recompute(second=seconds) == {}


@AHEAD
async def test_who_still_watches_after_the_clock_is_set_right_counts_again(
    audience: Audience, viewer: UUID, stream: int, ahead: timedelta
) -> None:
    seconds = ahead.total_seconds()
    await audience.hear(viewer, stream, second=seconds)
    await audience.recompute(second=seconds)
    await audience.hear(viewer, stream, second=1)
    assert await audience.recompute(second=2) == {}
    assert await audience.published() == {stream}
    assert await audience.sweep(second=3) == 0
    assert await audience.recompute(second=62) == {stream: False}


async def test_a_clock_a_few_seconds_ahead_switches_nothing(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.hear(viewer, stream, second=30)
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
        await audience.hear(viewer, stream, second=ahead.total_seconds())
    for stream in old:
        await audience.hear(viewer, stream, second=1)
    await audience.hear(viewer, new, second=2)
    await audience.recompute(second=3)
    assert new in await audience.published()
    assert len(await audience.published()) == 4


# The inbox


@AHEAD
async def test_an_event_stored_by_a_clock_ahead_is_applied_at_once(
    books: Books, ahead: timedelta
) -> None:
    buyer = await books.profile()
    books.now = NOON + ahead
    [event_id] = await books.receive(Payment().bought(buyer))
    books.now = NOON
    assert await books.work() == {event_id: APPLIED}


@AHEAD
async def test_an_event_that_failed_by_a_clock_ahead_is_tried_again(
    books: Books, ahead: timedelta
) -> None:
    buyer = await books.profile()
    [event_id] = await books.receive(Payment().bought(buyer))
    await books.db.execute("select fleet.fail_event($1, 'boom', $2)", event_id, NOON + ahead)
    assert await books.work() == {event_id: APPLIED}


async def test_an_event_that_failed_still_has_its_pause(books: Books) -> None:
    [event_id] = await books.receive(Payment().bought(await books.profile()))
    await books.db.execute("select fleet.fail_event($1, 'boom', $2)", event_id, NOON)
    assert await books.work() == {}
    books.wait(seconds=1)
    assert await books.work() == {event_id: APPLIED}


@AHEAD
@pytest.mark.parametrize("heard_before", [True, False])
async def test_an_event_that_began_to_wait_by_a_clock_ahead_waits_as_long_as_others(
    books: Books, ahead: timedelta, *, heard_before: bool
) -> None:
    books.now = NOON + ahead
    [event_id] = await books.receive(Payment().refund(40))
    if heard_before:
        await books.work()
    books.now = NOON
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "waiting"
    books.wait(days=35, seconds=-1)
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "waiting"
    books.wait(seconds=61)
    await books.wake()
    await books.work()
    assert (await books.outcome(event_id)).state == "rejected"


@AHEAD
async def test_a_gift_received_by_a_clock_ahead_waits_five_seconds_for_its_coins(
    books: Books, ahead: timedelta
) -> None:
    sender, streamer = await books.profiles(2)
    await books.receive(Payment().bought(sender))
    books.now = NOON + ahead
    [event_id] = await books.receive(gift(sender, streamer, 5))
    books.now = NOON
    await books.wake()
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = $1 where id <> $2",
        NOON + timedelta(minutes=1),
        event_id,
    )
    books.wait(seconds=6)
    assert await books.work() == {event_id: SHORT}


@AHEAD
async def test_payloads_go_behind_one_that_a_clock_ahead_received(
    db: Connection, worker_pool: Pool, ahead: timedelta
) -> None:
    await receive(db, "ahead", days_ago=-ahead.days - 1)
    await receive(db, "old", days_ago=91)
    await receive(db, "young", days_ago=89)
    assert await housekeeping.drop_old_payloads(worker_pool) == 2


async def test_the_payload_of_the_last_event_stays_though_a_clock_ahead_received_it(
    db: Connection, worker_pool: Pool
) -> None:
    await receive(db, "ahead", days_ago=-365)
    await receive(db, "young", days_ago=89)
    assert await housekeeping.drop_old_payloads(worker_pool) == 0


# What gifts add up to


async def given(books: Books, stream: int, *, coins: int = 5) -> None:
    """A gift on the stream at the books' time."""
    sender, streamer = await books.profile(coins=coins), await books.profile()
    await books.apply(gift(sender, streamer, coins, stream_id=stream))


async def recent(books: Books) -> int:
    """The coins that the stream shows, when everything is folded in."""
    while not await books.db.fetchval("select fleet.age_recent_gifts($1)", books.now):
        pass
    await books.db.execute("select fleet.fold_stream_changes()")
    coins: int = await books.db.fetchval("select recent_gift_coins from public.live_streams")
    return coins


# A year is half a million minutes, which are folded in one by one.
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
    # The time comes that the clock had been at.
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
async def test_boards_keep_what_runs_when_a_clock_ahead_had_ended_it(
    books: Books, ahead: timedelta
) -> None:
    refresh = "select fleet.refresh_leaderboard($1)"
    boards = "select period, coins from public.leaderboard_cache where board = 'top_gifters'"
    sender, streamer = await books.profile(coins=9), await books.profile()
    await books.apply(gift(sender, streamer, 7))
    await books.db.execute(refresh, books.now)
    before = await books.db.fetch(boards)
    await books.db.execute(refresh, books.now + ahead)
    await books.db.execute(refresh, books.now)
    assert len(before) == 4
    assert {tuple(row) for row in await books.db.fetch(boards)} == {tuple(row) for row in before}
