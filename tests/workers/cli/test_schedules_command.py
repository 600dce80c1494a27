"""`coinfleet schedules` as an operator types it, and what `status` and /metrics say of a pause."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from db import ticks
from db.health.vital_signs import read_vital_signs
from workers.cli.status.command import read_health

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.cli.conftest import Typed

JOB = "publish_state"


async def test_a_schedule_is_paused_listed_run_and_resumed(typed: Typed, db: Connection) -> None:
    await ticks.open_tick(db, JOB, every_s=10, offset_s=0)
    why = ("--reason", "a repair")
    code, said, _ = await typed("schedules", "pause", JOB, *why)
    assert (code, said) == (0, f"{JOB} is paused: no run begins until it is resumed.\n")
    assert (await typed("schedules", "pause", JOB, *why)).code == 1
    code, said, _ = await typed("schedules", "list", "--json")
    listed = {each["job"]: each for each in json.loads(said)["schedules"]}
    assert (code, listed[JOB]["paused"]["reason"]) == (0, "a repair")
    assert listed["leaderboard"]["paused"] is None
    assert ": a repair" in (await typed("schedules", "list")).out
    assert (await typed("schedules", "run", JOB, *why)).code == 0
    assert (await typed("schedules", "resume", JOB, *why)).code == 0
    assert (await typed("schedules", "resume", JOB, *why)).code == 1
    assert await db.fetchval("select count(*) from fleet.operator_actions") == 3


@pytest.mark.parametrize(
    "words", [("pause", "nothing", "--reason", "x"), ("pause", JOB), ("run", JOB, "--reason", " ")]
)
async def test_without_a_known_job_and_a_reason_nothing_is_done(
    typed: Typed, db: Connection, words: tuple[str, ...]
) -> None:
    assert (await typed("schedules", *words)).code == 2
    assert await db.fetchval("select count(*) from fleet.schedule_pauses") == 0


@pytest.mark.parametrize(("minutes", "lines"), [(14, 0), (16, 1)])
async def test_status_names_a_pause_that_is_long_and_does_not_call_it_overdue(
    database: Database, db: Connection, minutes: int, lines: int
) -> None:
    await ticks.open_tick(db, JOB, every_s=10, offset_s=0)
    await db.execute(
        "insert into fleet.schedule_pauses"
        " values ($1, now() - $2 * interval '1 min', 'ann', 'why')",
        JOB,
        minutes,
    )
    await db.execute("update fleet.ticks set enqueued_at = now() - interval '20 min'")
    health = await read_health(database.url(), None)
    found = [line for line in health.attention if line.startswith(JOB)]
    line = (
        f"{JOB} has been paused for {minutes} min by ann (why): `coinfleet schedules resume {JOB}"
        " --reason '…'`"
    )
    assert found == [line] * lines


async def test_metrics_say_for_how_long_a_job_is_paused(db: Connection) -> None:
    await db.execute(
        "insert into fleet.schedule_pauses values ($1, now() - interval '1 min', 'ann', 'why')", JOB
    )
    signs = await read_vital_signs(db, timeout_s=5)
    assert [(each.job, each.paused_s >= 60) for each in signs.paused_schedules] == [(JOB, True)]
