"""What `coinfleet doctor` finds of work that nobody does any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from schedules.timetable import TIMETABLE
from tasks.findings import Verdict
from tests.workers.cli.doctor.findings import context, found, wrong
from tests.workers.cli.status.conftest import A_FLEET_AT_WORK
from workers.cli.doctor.arrivals import check_arrivals, check_refusals
from workers.cli.doctor.work import check_calls, check_events, check_processes, check_schedules

if TYPE_CHECKING:
    from db.connections.pool import Connection

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
WEB = """
    insert into fleet.web_reports (web, started_at, reported_at, detail)
    values ('host:8000', clock_timestamp(), clock_timestamp(),
        '{"providers": ["stripe", "google"]}')
"""
EVENT = """
    insert into fleet.inbox_events
        (provider, provider_event_id, event_type, payload, payload_sha256, state, reason, starts,
         received_at, next_attempt_at)
    values ($1, $2, 'x', '{}', sha256($2::text::bytea), $3, $4, $5,
        clock_timestamp() - $6::text::interval, clock_timestamp() + interval '1 hour')
    returning id
"""
CALL = """
    insert into fleet.provider_calls
        (kind, key, request, attempts, worker, lease_until, created_at, next_attempt_at,
         first_attempt_at)
    select 'stripe.refund', $1, '{}', $2, 'w', clock_timestamp() - $3::text::interval, t, t,
        case when $2 > 0 then t end
    from (select clock_timestamp() - interval '1 hour') as x (t)
    returning id
"""


@pytest_asyncio.fixture
async def at_work(session: Connection) -> Connection:
    """A fleet at work."""
    await session.execute(
        A_FLEET_AT_WORK,
        [schedule.name for schedule in TIMETABLE],
        [schedule.every_s for schedule in TIMETABLE],
    )
    await session.execute(WEB)
    return session


async def test_a_fleet_at_work_is_well(at_work: Connection) -> None:
    checks = (check_processes, check_schedules, check_calls, check_events, check_refusals)
    for check in checks:
        assert wrong(await check(context(at_work))) == []


async def test_silent_processes_are_found(session: Connection) -> None:
    assert wrong(await check_processes(context(session))) == [
        (BROKEN, "no worker reports: nothing is applied"),
        (BROKEN, "no web reports: nothing is received"),
    ]


async def test_a_worker_that_ended_is_told_and_needs_nobody(at_work: Connection) -> None:
    await at_work.execute(
        "insert into fleet.worker_reports (worker, started_at, reported_at)"
        " select 'gone:1', t, t from (select clock_timestamp() - interval '5 min') as x (t)"
    )
    findings = await check_processes(context(at_work))
    assert wrong(findings) == []
    assert "workers of the last hour that ended: gone:1" in [each.what for each in findings]


async def test_webhooks_that_web_refuses_in_a_row_are_found(at_work: Connection) -> None:
    await at_work.execute(
        "update fleet.web_reports set detail = detail || $1::jsonb",
        '{"refused": [{"provider": "stripe", "cause": "no_match", "webhooks": 7,'
        ' "newest_age_s": 5}]}',
    )
    verdict, what = await found(check_processes, context(at_work))
    assert (verdict, "refused 7 webhooks of stripe in a row (no_match)" in what) == (
        ATTENTION,
        True,
    )


async def test_jobs_that_nobody_fires_are_found(session: Connection) -> None:
    verdict, what = await found(check_schedules, context(session))
    assert (verdict, what.startswith("no scheduler: no job was ever fired")) == (BROKEN, True)


async def test_a_run_that_no_worker_claims_is_found(at_work: Connection) -> None:
    job = TIMETABLE[0].name
    await at_work.execute(
        "insert into fleet.ticks (job, tick, enqueued_at, claimable_at)"
        " select $1, 2, t, t from (select clock_timestamp() - interval '20 min') as x (t)",
        job,
    )
    said = [what for _, what in wrong(await check_schedules(context(at_work)))]
    assert f"a run of {job} can be claimed since 20 min ago, and no worker does" in said


async def test_a_call_that_its_worker_left_is_found_once_it_was_due_long_ago(
    at_work: Connection,
) -> None:
    await at_work.fetchval(CALL, "k1", 1, "1 min")
    assert wrong(await check_calls(context(at_work))) == []
    call_id = await at_work.fetchval(CALL, "k2", 1, "6 min")
    (finding,) = await check_calls(context(at_work))
    assert finding.verdict is BROKEN
    assert finding.what.startswith("stripe.refund: 1 call begun by a worker that is gone")
    assert finding.subject == f"call:{call_id}"


async def test_calls_that_no_worker_can_make_are_found(at_work: Connection) -> None:
    call_id = await at_work.fetchval(CALL, "k1", 0, "1 s")
    await at_work.execute(
        "update fleet.provider_calls set lease_until = null where id = $1", call_id
    )
    verdict, what = await found(check_calls, context(at_work))
    assert (verdict, what) == (BROKEN, "stripe: 1 call never tried, the oldest for 1 h")


async def test_events_of_dead_workers_are_found(at_work: Connection) -> None:
    event_id = await at_work.fetchval(EVENT, "stripe", "e1", "pending", None, 2, "1 min")
    (finding,) = await check_events(context(at_work))
    assert finding.verdict is ATTENTION
    assert finding.what.startswith("1 pending event in the hands of workers that died, up to 2 ti")
    assert finding.subject == f"event:{event_id}"


async def test_events_whose_other_half_never_came_are_found(at_work: Connection) -> None:
    await at_work.fetchval(EVENT, "stripe", "e1", "waiting", "no_purchase_yet", 0, "2 days")
    assert wrong(await check_events(context(at_work))) == []
    event_id = await at_work.fetchval(
        EVENT, "stripe", "e2", "waiting", "no_purchase_yet", 0, "4 days"
    )
    (finding,) = await check_events(context(at_work))
    assert (finding.verdict, finding.subject) == (ATTENTION, f"event:{event_id}")
    assert finding.what.startswith("1 event waiting (no_purchase_yet) for what never came")


@pytest.mark.parametrize("days", [0, 2])
async def test_a_provider_that_never_told_anything_is_found_after_a_day(
    at_work: Connection, days: int
) -> None:
    await at_work.execute(
        "update fleet.schema_migrations set applied_at = applied_at - $1 * interval '1 day'", days
    )
    await at_work.fetchval(EVENT, "stripe", "evt_1", "pending", None, 0, "1 min")
    # What clients submit does not come from Google.
    await at_work.fetchval(EVENT, "google", "client:1:2", "pending", None, 0, "1 min")
    findings = await check_arrivals(context(at_work))
    told = {each.what: each.verdict for each in findings}
    silent = next(what for what in told if "google" in what)
    assert told[silent] is (ATTENTION if days else Verdict.NOT_CHECKED)
    assert told["events came of stripe"] is Verdict.OK
    assert told["not taken, by settings or PROVIDERS_ENABLED: apple, app"] is Verdict.OK


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("malformed", "payload unwrapping"),
        ("livemode_mismatch", "STRIPE_LIVEMODE"),
        ("account_mismatch", "STRIPE_ACCOUNTS"),
    ],
)
async def test_events_that_a_setting_refuses_are_found(
    at_work: Connection, reason: str, said: str
) -> None:
    await at_work.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at)"
        " select 'google', r || n, 'x', '{}', sha256((r || n)::bytea), 'rejected', r, now()"
        " from unnest(array[$1, 'no_purchase']) as r cross join generate_series(1, 3) as n",
        reason,
    )
    (finding,) = await check_refusals(context(at_work))
    assert finding.verdict is ATTENTION
    assert finding.what.startswith(
        f"google: 3 of its newest 6 events are rejected ({reason}), the newest with id"
    )
    assert said in finding.fix


async def test_a_stray_event_that_is_refused_needs_nobody(at_work: Connection) -> None:
    await at_work.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at)"
        " select 'google', 'e' || n, 'x', '{}', sha256(n::text::bytea), 'rejected',"
        " case when n <= 3 then 'malformed' else 'no_purchase' end, now()"
        " from generate_series(1, 31) as n"
    )
    assert wrong(await check_refusals(context(at_work))) == []


async def test_without_a_web_nobody_knows_whose_events_are_taken(session: Connection) -> None:
    assert {each.verdict for each in await check_arrivals(context(session))} == {
        Verdict.NOT_CHECKED
    }
