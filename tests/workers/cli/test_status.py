"""`coinfleet status`: what it tells, what it calls a person for, and what it says when it can't."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db.connections.roles import NotReleased
from db.errors import CoinfleetError, DatabaseRefused, DatabaseUnavailable
from db.health.webs import RefusedInARow, WebDetail, WebStatus, report_web
from db.health.workers import Trouble
from db.inbox import Arrival, store_arrivals
from schedules.timetable import TIMETABLE
from tests.workers.cli.operators import coinfleet
from workers.cli.status import checks as status_checks
from workers.cli.status.command import read_health
from workers.cli.status.processes import (
    RECENT_S,
    REFUSED_FROM,
    judge_webs,
)
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from workers.cli.status.checks import Asked
    from workers.cli.status.health import FleetHealth

NOWHERE = "postgresql://nobody:secret@127.0.0.1:1/nowhere"

# As a scheduler and a worker leave it when all is well.
A_FLEET_AT_WORK = """
with job as (
    insert into fleet.schedules (job, cadence_s, offset_s)
    select name, every_s, 0 from unnest($1::text[], $2::integer[]) as j (name, every_s)
    returning job
),
reported as (
    insert into fleet.worker_reports (worker, started_at, events)
    values ('host:1', clock_timestamp(), 7)
)
insert into fleet.ticks (job, tick, started_at, finished_at, attempts, outcome)
select job, 1, clock_timestamp(), clock_timestamp(), 1, 'done' from job
"""


A_REJECTED_PURCHASE = """
insert into public.coin_purchases (
    profile_id, payment_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, hold_reason, decision, purchased_at
)
values ($1, 1, 'stripe', 'evt_over_limit', 'pi_1', 100, 999, 'usd', 'over_limit', 'rejected', now())
"""


@pytest_asyncio.fixture
async def at_work(db: Connection) -> None:
    """A database whose fleet does its work."""
    await db.execute(
        A_FLEET_AT_WORK,
        [schedule.name for schedule in TIMETABLE],
        [schedule.every_s for schedule in TIMETABLE],
    )


async def store_event(web_pool: Pool, event_id: str) -> None:
    """Receive one event."""
    arrival = Arrival("stripe", event_id, "payment_intent.succeeded", b"{}", event_id.encode())
    await store_arrivals(web_pool, [arrival])


async def health_of(database: Database, redis_url: str | None = None) -> FleetHealth:
    """Ask as the command does."""
    return await read_health(database.url(), redis_url)


@pytest.mark.usefixtures("at_work")
async def test_a_fleet_at_work_is_healthy(database: Database, redis_url: str) -> None:
    health = await health_of(database, redis_url)
    assert health.healthy
    assert health.queue.reachable
    assert health.queue.waiting == 0
    assert [worker.events for worker in health.workers] == [7]


async def test_a_fleet_that_never_ran_lacks_its_scheduler_and_a_worker(database: Database) -> None:
    attention = (await health_of(database)).attention
    no_scheduler, no_worker = attention
    assert no_scheduler.startswith(f"no scheduler: no job was ever fired, {len(TIMETABLE)} jobs")
    assert no_worker == "no worker reports"


@pytest.mark.usefixtures("at_work")
async def test_events_are_counted_by_state_and_provider(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    for event_id in ("evt_1", "evt_2", "evt_3"):
        await store_event(web_pool, event_id)
    await db.execute(
        "update fleet.inbox_events set state = 'applied' where provider_event_id = 'evt_1'"
    )
    health = await health_of(database)
    assert (health.events["pending"], health.events["applied"], health.events["held"]) == (2, 1, 0)
    assert health.events_by_provider == {"stripe": health.events}
    assert health.healthy


@pytest.mark.usefixtures("at_work")
async def test_a_dead_event_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await store_event(web_pool, "evt_poison")
    await db.execute(
        "update fleet.inbox_events set state = 'dead', reason = 'failed', last_error = 'Boom'"
    )
    health = await health_of(database)
    (line,) = health.attention
    (dead,) = health.dead.oldest
    assert line.startswith(f"dead: 1 event, the oldest with id {dead.id} (Boom): mend the cause")
    assert health.dead.newest == [dead]
    assert (dead.provider_event_id, dead.reason, dead.last_error) == (
        "evt_poison",
        "failed",
        "Boom",
    )


@pytest.mark.usefixtures("at_work")
async def test_the_oldest_held_events_are_listed_first_and_raise_no_alarm_at_once(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    for number in range(5):
        await store_event(web_pool, f"evt_{number}")
    await db.execute("update fleet.inbox_events set state = 'held', reason = 'over_limit'")
    health = await health_of(database)
    assert health.held.count == 5
    assert [event.provider_event_id for event in health.held.oldest] == ["evt_0", "evt_1", "evt_2"]
    assert [event.provider_event_id for event in health.held.newest] == ["evt_4", "evt_3", "evt_2"]
    assert health.healthy


async def hold_events(web_pool: Pool, db: Connection, *, minutes: float, reason: str) -> None:
    """Leave one event as it is after being held for so long."""
    await store_event(web_pool, f"evt_{reason}")
    await db.execute(
        "update fleet.inbox_events set state = 'held', reason = $1,"
        " received_at = clock_timestamp() - interval '1 minute' * $2,"
        " processed_at = clock_timestamp() - interval '1 minute' * $2"
        " where provider_event_id = 'evt_' || $1",
        reason,
        minutes,
    )


@pytest.mark.parametrize(
    ("minutes", "after", "healthy"),
    [(29, 30, True), (31, 30, False), (44, 30, False), (44, 60, True), (1, 0, False)],
)
@pytest.mark.usefixtures("at_work")
async def test_money_held_for_longer_than_the_setting_needs_a_person(
    database: Database,
    web_pool: Pool,
    db: Connection,
    minutes: int,
    after: int,
    *,
    healthy: bool,
) -> None:
    await hold_events(web_pool, db, minutes=minutes, reason="over_limit")
    health = await read_health(database.url(), None, held_after_minutes=after)
    assert health.healthy is healthy
    if not healthy:
        (line,) = health.attention
        assert line.startswith("held (over_limit): 1 event, the oldest (id ")
        assert f"{minutes} min ago" in line


@pytest.mark.usefixtures("at_work")
async def test_held_events_are_told_by_reason_the_longest_held_first(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=5, reason="velocity")
    await hold_events(web_pool, db, minutes=44, reason="wrong_amount")
    await hold_events(web_pool, db, minutes=20, reason="unknown_buyer")
    health = await health_of(database)
    assert [each.reason for each in health.held_by_reason] == [
        *("wrong_amount", "unknown_buyer", "velocity")
    ]


@pytest.mark.usefixtures("at_work")
async def test_held_money_dated_ahead_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=-20, reason="over_limit")
    (line,) = (await health_of(database)).attention
    assert "20 min ahead of the clock" in line


@pytest.mark.usefixtures("at_work")
async def test_what_a_person_rejected_waits_for_its_refund_not_for_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=44, reason="over_limit")
    await db.execute("update fleet.inbox_events set payment_id = 1")
    buyer = await db.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    await db.execute(A_REJECTED_PURCHASE, buyer)
    assert (await health_of(database)).healthy


@pytest.mark.parametrize(("age_s", "healthy"), [(30, True), (61, False)])
@pytest.mark.usefixtures("at_work")
async def test_an_event_pending_for_over_a_minute_needs_a_person(
    database: Database, web_pool: Pool, db: Connection, age_s: int, *, healthy: bool
) -> None:
    await store_event(web_pool, "evt_1")
    await db.execute(
        "update fleet.inbox_events set received_at = clock_timestamp() - interval '1 second' * $1",
        age_s,
    )
    health = await health_of(database)
    assert health.healthy is healthy
    assert health.oldest_pending_s is not None
    assert health.oldest_pending_s >= age_s


@pytest.mark.usefixtures("at_work")
async def test_drift_needs_a_person(database: Database, db: Connection) -> None:
    await db.execute(
        "insert into fleet.proofs (kind, violations, detail, started_at)"
        """ values ('full', 2, '{"balances_match_ledger": []}', clock_timestamp())"""
    )
    health = await health_of(database)
    assert health.attention == ["the proofs found 2 violations in the books"]
    assert health.drift.detail == {"balances_match_ledger": []}


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
async def test_a_job_that_is_asked_for_and_never_done_is_overdue(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "update fleet.ticks set started_at = null, finished_at = null, outcome = null,"
        " enqueued_at = clock_timestamp() - interval '5 minutes' where job = 'stale_viewers'"
    )
    assert (await health_of(database)).attention == [
        "stale_viewers is overdue: never done, and due each 30 s"
    ]


@pytest.mark.usefixtures("at_work")
async def test_the_error_of_a_failed_job_is_told(database: Database, db: Connection) -> None:
    await db.execute(
        "update fleet.ticks set outcome = 'failed', last_error = 'ValueError: no such period'"
        " where job = 'leaderboard'"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith("leaderboard failed")
    assert "ValueError: no such period" in line


@pytest.mark.usefixtures("at_work")
async def test_a_job_that_met_an_outage_asks_for_nobody_unless_it_is_overdue(
    database: Database, db: Connection
) -> None:
    """A lock of twenty seconds is over; the next run, a minute later at most, does the work."""
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
async def test_the_error_of_a_job_that_is_retried_is_told_with_its_delay(
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
async def test_a_time_that_lies_ahead_tells_of_a_clock_that_was_set_back(
    database: Database, db: Connection
) -> None:
    await db.execute("update fleet.schedules set fired_at = now() + interval '20 minutes'")
    (line,) = (await health_of(database)).attention
    assert line == "the database's clock was set back: it stored times 20 min ahead of it"


@pytest.mark.usefixtures("at_work")
async def test_a_server_that_takes_no_writes_needs_a_person(
    database: Database, db: Connection
) -> None:
    await db.execute("alter role current_user set default_transaction_read_only = on")
    try:
        attention = (await health_of(database)).attention
    finally:
        await db.execute("alter role current_user reset default_transaction_read_only")
    assert attention == [
        "the database is read-only: nothing is stored or applied; is this a standby?"
    ]


@pytest.mark.usefixtures("at_work")
async def test_an_event_that_fails_for_what_should_have_passed_is_named_with_its_sqlstate(
    database: Database, db: Connection, web_pool: Pool
) -> None:
    await store_arrivals(web_pool, [Arrival("stripe", "evt_1", "test", b"{}", b"0")])
    event_id = await db.fetchval("select id from fleet.inbox_events")
    await db.execute(
        "select fleet.set_event_aside($1, '53100', '53100: No space left on device', true)",
        event_id,
    )
    assert (await health_of(database)).attention == []
    await db.execute(
        "update fleet.set_aside_events set failing_since = failing_since - interval '16 minutes'"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith(f"event {event_id} (stripe) has been failing for 16 min: 53100: ")


@pytest.mark.usefixtures("at_work")
async def test_a_check_that_fails_is_a_line_and_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing_at_all(asked: Asked) -> list[str]:
        raise CoinfleetError("no such thing")

    async def find_something(asked: Asked) -> list[str]:
        return ["something"]

    monkeypatch.setattr(status_checks, "CHECKS", (find_nothing_at_all, find_something))
    assert (await health_of(database)).attention == [
        *("find nothing at all: no such thing", "something")
    ]


@pytest.mark.usefixtures("at_work")
async def test_missed_and_failed_runs_are_told(database: Database, db: Connection) -> None:
    await db.execute(
        "update fleet.schedules set missed_total = 3, failed_total = 2 where job = 'housekeeping'"
    )
    told = {job.job: (job.missed, job.failed) for job in (await health_of(database)).schedules}
    assert told["housekeeping"] == (3, 2)


@pytest.mark.usefixtures("at_work")
async def test_a_silent_worker_is_no_worker(database: Database, db: Connection) -> None:
    await db.execute(
        "update fleet.worker_reports set reported_at = clock_timestamp() - interval '11 seconds'"
    )
    assert (await health_of(database)).attention == ["no worker reports"]


@pytest.mark.usefixtures("at_work")
async def test_a_queue_that_is_away_needs_a_person(database: Database) -> None:
    health = await health_of(database, "redis://127.0.0.1:1/0")
    assert health.queue.reachable is False
    assert "127.0.0.1:1" in str(health.queue.outage)
    assert len(health.attention) == 1
    assert "queue" in health.attention[0]


@pytest.mark.usefixtures("at_work")
async def test_a_queue_without_an_address_is_no_alarm(database: Database) -> None:
    health = await health_of(database)
    assert health.queue.reachable is None
    assert health.healthy


@pytest.mark.usefixtures("at_work")
async def test_an_unapplied_migration_needs_a_person(database: Database, db: Connection) -> None:
    await db.execute(
        "delete from fleet.schema_migrations"
        " where version = (select max(version) from fleet.schema_migrations)"
    )
    health = await health_of(database)
    assert not health.schema_current
    assert health.attention == ["the schema is not this release's: run `coinfleet migrate`"]


async def test_a_database_that_is_away_is_named_so() -> None:
    with pytest.raises(DatabaseUnavailable):
        await read_health(NOWHERE, None)


async def test_a_wrong_password_is_told_from_a_database_that_is_away(database: Database) -> None:
    with pytest.raises(DatabaseRefused, match="password"):
        await read_health(database.url().replace(":test@", ":wrong@"), None)


async def test_a_database_without_our_schema_asks_for_a_release(empty_database: Database) -> None:
    with pytest.raises(NotReleased, match="coinfleet migrate"):
        await read_health(empty_database.url(), None)


# Its processes


def a_web(**detail: Any) -> WebStatus:
    """A web process that reported just now."""
    now = datetime.now(UTC)
    return WebStatus("box:8000", now, now, is_alive=True, detail=WebDetail(**detail))


def judged(*webs: WebStatus) -> list[str]:
    return judge_webs(list(webs), datetime.now(UTC))


def test_a_receiver_that_takes_webhooks_is_no_line() -> None:
    refused = (
        RefusedInARow("stripe", "no_match", REFUSED_FROM - 1, 1.0),
        RefusedInARow("app", "no_match", 1_000, RECENT_S + 1),
    )
    trouble = Trouble("53100: the disk is full", RECENT_S + 1)
    passing = Trouble("40P01: deadlock", 1.0)
    assert judged() == []
    assert judged(a_web(), a_web(refused=refused, trouble=trouble, clock_ahead_s=29.0)) == []
    assert judged(a_web(trouble=passing)) == []


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"trouble": Trouble("53100: no space left", 1.0)}, "could not store webhooks: 53100: no"),
        ({"refused": (RefusedInARow("app", "stale", 12, 5.0),)}, "12 webhooks in a row (stale)"),
        ({"refused": (RefusedInARow("stripe", "no_match", 3, 5.0),)}, "does the secret here match"),
        ({"clock_ahead_s": 400.0}, "7 min ahead of the database's"),
        ({"clock_ahead_s": -400.0}, "7 min behind the database's"),
    ],
)
def test_a_receiver_that_refuses_needs_a_person(detail: dict[str, Any], words: str) -> None:
    (line,) = judged(a_web(**detail))
    assert line.partition("web box:8000")[1]
    assert words in line


@pytest.mark.usefixtures("at_work")
async def test_a_receiver_that_fell_silent_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await report_web(web_pool, "box:8000", uptime_s=60, detail=WebDetail())
    assert (await health_of(database)).healthy
    await db.execute("update fleet.web_reports set reported_at = now() - interval '5 minutes'")
    (line,) = (await health_of(database)).attention
    assert line == "no receiver reports: web box:8000 was last heard 5 min ago; is it refusing?"


@pytest.mark.usefixtures("at_work")
async def test_a_full_disk_that_stops_a_worker_needs_a_person(
    database: Database, db: Connection
) -> None:
    trouble = {"error": "53100: could not extend file: No space left on device", "age_s": 1.0}
    await db.execute(
        "update fleet.worker_reports set detail = $1", json.dumps({"trouble": trouble})
    )
    (line,) = (await health_of(database)).attention
    assert line == (
        f"worker host:1 is kept from its work: {trouble['error']}; make room on the database's disk"
    )


# The command


@pytest.mark.usefixtures("at_work")
async def test_a_healthy_fleet_exits_zero_and_says_so(database: Database, redis_url: str) -> None:
    result = await asyncio.to_thread(
        coinfleet, "status", DATABASE_URL=database.url(), REDIS_URL=redis_url
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("✓ healthy\n")


async def test_what_needs_a_person_comes_first_and_exits_one(database: Database) -> None:
    result = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=database.url())
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("✗ 2 things need a person\n- no scheduler: ")
    assert "healthy" not in result.stdout


@pytest.mark.usefixtures("at_work")
async def test_the_keys_of_json_are_stable(database: Database, redis_url: str) -> None:
    result = await asyncio.to_thread(
        coinfleet, "status", "--json", DATABASE_URL=database.url(), REDIS_URL=redis_url
    )
    told: dict[str, Any] = json.loads(result.stdout)
    assert result.returncode == 0
    assert told["healthy"] is True
    assert list(told) == [
        *("healthy", "attention", "checked_at", "schema_current", "events", "events_by_provider"),
        *("oldest_pending_s", "held", "held_by_reason", "dead", "scheduler_fired_at"),
        *("schedules", "drift", "workers", "webs", "queue"),
    ]
    assert list(told["events"]) == [
        *("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
    ]
    assert list(told["schedules"][0]) == [
        *("job", "every_s", "last_done_at", "outcome", "missed", "failed", "last_error", "overdue")
    ]
    assert {"violations", "last_new_at", "last_full_at", "detail"} <= told["drift"].keys()
    assert told["queue"] == {"reachable": True, "waiting": 0}


def test_an_unreachable_database_is_one_line_and_exits_two() -> None:
    result = coinfleet("status", DATABASE_URL=NOWHERE)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("coinfleet: ")
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        ((), {"DATABASE_URL": NOWHERE}),
        ((), {"DATABASE_URL": "no address"}),
        ((), {}),
        (("--no-such-option",), {"DATABASE_URL": NOWHERE}),
        ((), {"DATABASE_URL": NOWHERE, "STATUS_HELD_AFTER_MINUTES": "soon"}),
    ],
)
def test_what_could_not_be_asked_is_json_all_the_same(
    words: tuple[str, ...], environment: dict[str, str]
) -> None:
    result = coinfleet("status", "--json", *words, **environment)
    told = json.loads(result.stdout)
    assert result.returncode == 2
    assert told["healthy"] is False
    assert told["error"]
    assert "secret" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
async def test_any_encoding_of_the_output_will_do(database: Database, encoding: str) -> None:
    result = await asyncio.to_thread(
        coinfleet, "status", DATABASE_URL=database.url(), PYTHONIOENCODING=encoding
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("ok healthy\n")


async def test_it_works_at_forty_columns_and_cuts_no_id(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    event_id = "evt_1NG8Du2eZvKYlo2CUI79vXWy" + "x" * 40
    await store_event(web_pool, event_id)
    await db.execute("update fleet.inbox_events set state = 'held', reason = 'over_limit'")
    result = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=database.url(), COLUMNS="40")
    assert result.stderr == ""
    assert [line for line in result.stdout.splitlines() if len(line) > 40] == [f"  {event_id}"]


async def test_what_is_piped_is_cut_nowhere_and_wrapped_nowhere(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    event_id = "evt_" + "x" * 200
    await store_event(web_pool, event_id)
    await db.execute(
        "update fleet.inbox_events set state = 'dead', reason = 'failed', last_error = $1",
        "Boom " * 60,
    )
    result = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=database.url())
    assert event_id in result.stdout
    assert "Boom " * 60 in result.stdout
    assert "update fleet.inbox_events set state = 'pending'" in result.stdout


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("database-url",)])
async def test_a_reader_that_has_left_is_no_failure(
    database: Database, words: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = await asyncio.to_thread(
            coinfleet, *words, stdout=writer, DATABASE_URL=database.url()
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


# Its words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (86_400, "1 d"), (-3, "0 s")],
)
def test_a_duration_is_one_number_and_one_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "59 s ago"),
        (0, "0 s ago"),
        (-0.4, "0 s ago"),
        (-3, "3 s ahead of the clock"),
        (-1_200, "20 min ahead of the clock"),
    ],
)
def test_what_lies_ahead_is_told_so(seconds: float, said: str) -> None:
    assert ago(seconds) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 rows"), (1, "1 row"), (2_000, "2,000 rows")])
def test_one_thing_is_no_plural(number: int, said: str) -> None:
    assert counted(number, "row") == said
