"""What `coinfleet status` says of jobs, their scheduler, and a clock that was set back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("job", "late_s", "overdue"),
    [
        ("publish_state", 35, False),
        ("publish_state", 41, True),
        ("new_entries_proof", 121, True),
        ("full_proof", 24 * 3_600 + 60, False),
        ("full_proof", 25 * 3_600 + 60, True),
    ],
)
@pytest.mark.usefixtures("at_work")
async def test_a_job_done_long_ago_is_overdue(
    database: Database, db: Connection, job: str, late_s: int, *, overdue: bool
) -> None:
    await db.execute(
        "update fleet.ticks set finished_at = clock_timestamp() - interval '1 second' * $2"
        " where job = $1",
        job,
        late_s,
    )
    health = await health_of(database)
    assert [each.job for each in health.schedules if each.overdue] == [job] * overdue
    assert health.healthy is not overdue


@pytest.mark.usefixtures("at_work")
async def test_a_job_that_was_queued_and_never_done_is_overdue(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "update fleet.ticks set started_at = null, finished_at = null, outcome = null,"
        " enqueued_at = clock_timestamp() - interval '5 minutes' where job = 'stale_viewers'"
    )
    assert (await health_of(database)).attention == [
        "stale_viewers is overdue: never done, due every 30 s"
    ]


@pytest.mark.usefixtures("at_work")
async def test_the_error_of_a_failed_job_is_shown(database: Database, db: Connection) -> None:
    await db.execute(
        "update fleet.ticks set outcome = 'failed', last_error = 'ValueError: no such period'"
        " where job = 'leaderboard'"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith("leaderboard failed")
    assert "ValueError: no such period" in line


@pytest.mark.usefixtures("at_work")
async def test_a_job_that_met_an_outage_needs_nobody_unless_it_is_overdue(
    database: Database, db: Connection
) -> None:
    """The lock is over after twenty seconds, and the next run within a minute does the work."""
    fail = "update fleet.ticks set outcome = 'failed', last_error = $1 where job = $2"
    locked = "55P03: canceling statement due to lock timeout"
    await db.execute(fail, locked, "housekeeping")
    assert (await health_of(database)).attention == []
    await db.execute(
        "update fleet.ticks set enqueued_at = now() - interval '5 min', finished_at = now()"
        " - interval '5 min', last_error = $1 where job = 'housekeeping'",
        locked,
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith("housekeeping is overdue")
    assert locked in line
    await db.execute("update fleet.ticks set enqueued_at = now(), finished_at = now()")
    # The next proof of everything is a day away.
    await db.execute(fail, locked, "full_proof")
    (line,) = (await health_of(database)).attention
    assert line.startswith("full_proof failed")


@pytest.mark.usefixtures("at_work")
async def test_the_error_of_a_job_that_is_retried_is_shown_with_its_delay(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "update fleet.ticks set started_at = null, finished_at = null, outcome = null,"
        " last_error = 'OSError: out of reach',"
        " enqueued_at = clock_timestamp() - interval '5 minutes' where job = 'stale_viewers'"
    )
    (line,) = (await health_of(database)).attention
    assert line.endswith("its last error: OSError: out of reach")


@pytest.mark.usefixtures("at_work")
async def test_a_scheduler_that_fires_nothing_is_one_line_and_not_one_per_job(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "with moved as (update fleet.schedules set fired_at = now() - interval '10 minutes')"
        " update fleet.ticks set finished_at = now() - interval '10 minutes'"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith("no scheduler: the last fired 10 min ago, ")


@pytest.mark.usefixtures("at_work")
async def test_a_stored_time_in_the_future_shows_that_the_clock_was_set_back(
    database: Database, db: Connection
) -> None:
    await db.execute("update fleet.schedules set fired_at = now() + interval '20 minutes'")
    (line,) = (await health_of(database)).attention
    assert line == "the database's clock was set back: stored times are 20 min ahead of it"


@pytest.mark.usefixtures("at_work")
async def test_missed_and_failed_runs_are_shown(database: Database, db: Connection) -> None:
    await db.execute(
        "update fleet.schedules set missed_total = 3, failed_total = 2 where job = 'housekeeping'"
    )
    told = {job.job: (job.missed, job.failed) for job in (await health_of(database)).schedules}
    assert told["housekeeping"] == (3, 2)


@pytest.mark.usefixtures("at_work")
async def test_proofs_that_an_open_transaction_holds_up_need_a_person(
    database: Database, db: Connection
) -> None:
    """The job is done in time, and proves nothing: each run ends where the one before did."""
    await db.execute(
        "insert into fleet.proofs (kind, upto_xid, violations, started_at, finished_at)"
        " select 'new', '1000', 0, clock_timestamp() - age, clock_timestamp() - age"
        " from (values (interval '20 minutes'), (interval '10 s')) as p (age)"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith("proofs and leaderboards have stood still for 20 min")
    # An empty ledger is proved all the same: one more run that got further.
    await db.execute(
        "insert into fleet.proofs (kind, upto_xid, violations, started_at)"
        " values ('new', '1001', 0, clock_timestamp())"
    )
    assert (await health_of(database)).healthy
