"""A person pauses a schedule, resumes it, has it run now: obeyed at once, noted, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from db import ticks
from db.operating.schedules import Verb, do, read_pauses
from db.ticks import Tick

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from db.operating.schedules import Done
    from tests.conftest import Connect

MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)
FIRST = int(MIDNIGHT.timestamp()) // 10


async def fire(db: Connection, second: float) -> list[int]:
    at = MIDNIGHT + timedelta(seconds=second)
    rows = await db.fetch("select tick from fleet.add_tick('job', 10, 0, $1)", at)
    return [row["tick"] for row in rows]


async def finish(db: Connection, tick: int, second: float) -> None:
    at = MIDNIGHT + timedelta(seconds=second)
    await db.execute("select fleet.finish_tick('job', $1, $2)", tick, at)


async def want(db: Connection | Pool, verb: Verb, job: str = "job") -> Done:
    return await do(db, verb, job, typed_by="ann", reason=f"{verb} it")


async def notes(db: Connection) -> list[tuple[str, str, str]]:
    rows = await db.fetch(
        "select action, typed_by, reason from fleet.operator_actions"
        ' where detail = \'{"job": "job"}\' order by id'
    )
    return [tuple(row) for row in rows]


async def test_no_run_of_a_paused_job_is_opened_and_the_scheduler_is_not_silent(
    db: Connection,
) -> None:
    await fire(db, 0)
    await finish(db, FIRST, 1)
    assert await want(db, Verb.PAUSE) == "paused"
    assert await fire(db, 30) == []
    assert await db.fetchval("select fired_at from fleet.schedules") == MIDNIGHT + timedelta(
        seconds=30
    )


async def test_a_run_that_was_opened_before_the_pause_is_not_begun(db: Connection) -> None:
    await fire(db, 0)
    await want(db, Verb.PAUSE)
    assert await db.fetch("select fleet.due_ticks()") == []
    assert await ticks.claim_tick(db, Tick("job", FIRST)) is None
    await want(db, Verb.RESUME)
    assert await ticks.claim_tick(db, Tick("job", FIRST)) == 1


async def test_a_run_that_a_worker_has_begun_is_finished(db: Connection) -> None:
    await fire(db, 0)
    assert await ticks.claim_tick(db, Tick("job", FIRST)) == 1
    await want(db, Verb.PAUSE)
    assert await db.fetchval("select fleet.hold_tick('job', $1, 1)", FIRST)


async def test_after_a_pause_the_job_runs_at_its_next_time_and_has_missed_nothing(
    db: Connection,
) -> None:
    await fire(db, 0)
    await finish(db, FIRST, 1)
    await want(db, Verb.PAUSE)
    for second in (10, 20, 30):
        await fire(db, second)
    assert await want(db, Verb.RESUME) == "resumed"
    assert await fire(db, 40) == [FIRST + 4]
    assert await db.fetchval("select missed_total from fleet.schedules") == 0


async def test_what_nobody_fired_after_a_pause_counts_as_missed(db: Connection) -> None:
    await fire(db, 0)
    await finish(db, FIRST, 1)
    await want(db, Verb.PAUSE)
    await fire(db, 20)
    await want(db, Verb.RESUME)
    assert await fire(db, 60) == [FIRST + 6]
    assert await db.fetchval("select missed_total from fleet.schedules") == 3


async def test_a_second_pause_and_a_second_resume_change_nothing(db: Connection) -> None:
    assert await want(db, Verb.RESUME) == "not_paused"
    await want(db, Verb.PAUSE)
    (before,) = await read_pauses(db)
    assert await do(db, Verb.PAUSE, "job", typed_by="bob", reason="me too") == "paused_already"
    assert await read_pauses(db) == [before]
    await want(db, Verb.RESUME)
    assert await notes(db) == [
        ("schedules pause", "ann", "pause it"),
        ("schedules resume", "ann", "resume it"),
    ]


@pytest.mark.parametrize("verb", Verb)
async def test_nothing_is_done_without_a_reason(db: Connection, verb: Verb) -> None:
    await fire(db, 0)
    if verb is Verb.RESUME:
        await want(db, Verb.PAUSE)
    with pytest.raises(Exception, match="reason_given"):
        async with db.transaction():
            await do(db, verb, "job", typed_by="ann", reason=" ")
    assert bool(await read_pauses(db)) == (verb is Verb.RESUME)


async def test_a_job_runs_when_a_person_asks_also_while_it_is_paused(db: Connection) -> None:
    await fire(db, 0)
    await finish(db, FIRST, 1)
    await want(db, Verb.PAUSE)
    assert await want(db, Verb.RUN) == "asked"
    [due] = await ticks.find_due_ticks(db)
    assert await ticks.claim_tick(db, due) == 1
    await finish(db, due.number, 50)
    assert await ticks.find_due_ticks(db) == []
    assert await notes(db) == [
        ("schedules pause", "ann", "pause it"),
        ("schedules run", "ann", "run it"),
    ]


async def test_a_run_that_a_person_asks_for_takes_no_run_from_the_timetable(
    db: Connection,
) -> None:
    [tick] = [each.number for each in await ticks.open_tick(db, "job", every_s=86_400, offset_s=0)]
    await db.execute("select fleet.finish_tick('job', $1)", tick)
    assert await want(db, Verb.RUN) == "asked"
    await db.execute("select fleet.finish_tick('job', $1)", tick)
    tomorrow = await db.fetchval("select clock_timestamp() + interval '1 day'")
    rows = await db.fetch("select tick from fleet.add_tick('job', 86400, 0, $1)", tomorrow)
    assert [row["tick"] for row in rows] == [tick + 1]
    assert await db.fetchval("select missed_total from fleet.schedules") == 0


async def test_a_job_that_runs_again_was_last_done_when_it_was_done(db: Connection) -> None:
    [tick] = await ticks.open_tick(db, "job", every_s=86_400, offset_s=0)
    await db.execute("select fleet.finish_tick('job', $1)", tick.number)
    (before,) = await ticks.read_schedules(db)
    await want(db, Verb.RUN)
    (during,) = await ticks.read_schedules(db)
    assert during.last_done_at == before.last_done_at is not None
    assert during.outcome is None


async def test_a_job_that_failed_is_tried_anew(db: Connection) -> None:
    [tick] = await ticks.open_tick(db, "job", every_s=86_400, offset_s=0)
    assert await ticks.claim_tick(db, tick) == 1
    await ticks.fail_tick(db, tick, attempt=1, error="boom")
    assert await want(db, Verb.RUN) == "asked"
    assert await ticks.claim_tick(db, tick) == 1


async def test_a_job_that_a_worker_does_is_not_begun_twice(connect: Connect) -> None:
    owner, worker = await connect(), await connect("worker")
    [tick] = await ticks.open_tick(owner, "job", every_s=86_400, offset_s=0)
    assert await ticks.claim_tick(worker, tick) == 1
    assert await want(owner, Verb.RUN) == "running"
    async with worker.transaction():
        assert await worker.fetchval("select fleet.hold_tick('job', $1, 1)", tick.number)
        assert await want(owner, Verb.RUN) == "running"
        await worker.execute("select fleet.finish_tick('job', $1)", tick.number)
    assert await want(owner, Verb.RUN) == "asked"


async def test_a_job_that_no_scheduler_knows_cannot_run(db: Connection) -> None:
    assert await want(db, Verb.RUN) == "never_fired"
    assert await notes(db) == []


async def test_the_console_may_do_it_and_its_person_is_noted(connect: Connect) -> None:
    owner, console = await connect(), await connect("console")
    await ticks.open_tick(owner, "job", every_s=10, offset_s=0)
    for verb in Verb:
        await want(console, verb)
    rows = await owner.fetch("select who, typed_by from fleet.operator_actions")
    assert {tuple(row) for row in rows} == {("coinfleet_console", "ann")}
