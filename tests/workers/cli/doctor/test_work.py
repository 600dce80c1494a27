"""What `coinfleet doctor` finds of work that nobody does any more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from schedules.timetable import TIMETABLE
from tasks.findings import Verdict
from tests.db.books import Books, Payment
from tests.db.races import kill_session
from tests.provoking import case, noted
from tests.workers.cli.doctor.findings import context, found, wrong
from tests.workers.cli.status.conftest import A_FLEET_AT_WORK
from workers.cli.doctor import work
from workers.cli.doctor.arrivals import check_arrivals, check_refusals
from workers.cli.doctor.work import (
    check_calls,
    check_events,
    check_processes,
    check_schedules,
    check_trials,
)

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect

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
    work = (check_processes, check_schedules, check_calls, check_events, check_trials)
    for check in (*work, check_refusals):
        assert wrong(await check(context(at_work))) == []


@pytest.mark.provokes("no_worker", "no_web")
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


@pytest.mark.parametrize(
    ("report", "said"),
    [
        case(
            "webhooks_refused",
            '{"refused": [{"provider": "stripe", "cause": "no_match", "webhooks": 7,'
            ' "newest_age_s": 5}]}',
            "refused 7 webhooks of stripe in a row (no_match)",
        ),
        case(
            "web_in_trouble",
            '{"trouble": {"error": "53100: could not extend file", "age_s": 5}}',
            "could not store webhooks: 53100: could not extend file; free space on",
        ),
        case("clock_off", '{"clock_ahead_s": 90}', "is 2 min ahead of the database's"),
    ],
)
async def test_what_web_reports_of_itself_is_found(
    at_work: Connection, report: str, said: str
) -> None:
    """As `web` writes it; in test_fleet.py a receiver really meets it."""
    await at_work.execute("update fleet.web_reports set detail = detail || $1::jsonb", report)
    verdict, what = await found(check_processes, context(at_work))
    assert (verdict, said in what) == (ATTENTION, True), what


@pytest.mark.parametrize(
    ("report", "said"),
    [
        case(
            "worker_asks_nothing",
            '{"faults": [{"provider": "stripe", "fault": "401 unknown key"}]}',
            "asks nothing of stripe: 401 unknown key",
        ),
        case("clock_off", '{"clock_ahead_s": -90}', "is 2 min behind the database's"),
        case(
            "worker_in_trouble",
            '{"trouble": {"error": "42501: permission denied", "age_s": 5}}',
            "fails: 42501: permission denied; run `coinfleet migrate`",
        ),
    ],
)
async def test_what_a_worker_reports_of_itself_is_found(
    at_work: Connection, report: str, said: str
) -> None:
    await at_work.execute("update fleet.worker_reports set detail = $1::jsonb", report)
    verdict, what = await found(check_processes, context(at_work))
    assert (verdict, said in what) == (ATTENTION, True), what


@pytest.mark.provokes("no_scheduler")
async def test_jobs_that_nobody_fires_are_found(session: Connection) -> None:
    verdict, what = await found(check_schedules, context(session))
    assert (verdict, what.startswith("no scheduler: no job was ever fired")) == (BROKEN, True)


JOB = TIMETABLE[0].name


@pytest.mark.parametrize(
    ("cause", "verdict", "said"),
    [
        case(
            "job_failed",
            "update fleet.ticks set outcome = 'failed', last_error = 'ValueError: no such period'"
            " where job = 'leaderboard'",
            BROKEN,
            "leaderboard failed, and runs again at its next time: ValueError: no such period",
        ),
        case(
            "job_overdue",
            "update fleet.ticks set finished_at = clock_timestamp() - interval '121 seconds'"
            " where job = 'new_entries_proof'",
            BROKEN,
            "new_entries_proof is overdue: last done 2 min ago",
        ),
        case(
            "job_paused",
            "select fleet.pause_schedule('publish_state', 'ann', 'a repair');"
            " update fleet.schedule_pauses set paused_at = paused_at - interval '20 minutes'",
            ATTENTION,
            "publish_state has been paused for 20 min by ann (a repair)",
        ),
    ],
)
async def test_a_job_that_needs_a_person_is_found(
    at_work: Connection, cause: str, verdict: Verdict, said: str
) -> None:
    await at_work.execute(cause)
    how, what = await found(check_schedules, context(at_work))
    assert (how, said in what) == (verdict, True), what


async def test_a_job_that_was_just_paused_is_told_and_needs_nobody(at_work: Connection) -> None:
    await at_work.execute("select fleet.pause_schedule('publish_state', 'ann', 'a repair')")
    (finding,) = await check_schedules(context(at_work))
    assert finding.verdict is Verdict.OK
    assert finding.what == "paused by a person, not for long yet: publish_state"


@pytest.mark.provokes("run_unclaimed")
async def test_a_run_that_no_worker_claims_is_found(at_work: Connection) -> None:
    await at_work.execute(
        "insert into fleet.ticks (job, tick, enqueued_at, claimable_at)"
        " select $1, 2, t, t from (select clock_timestamp() - interval '20 min') as x (t)",
        JOB,
    )
    said = [what for _, what in wrong(await check_schedules(context(at_work)))]
    assert f"a run of {JOB} can be claimed since 20 min ago, and no worker does" in said


@pytest.mark.provokes("calls_abandoned")
async def test_a_call_that_its_worker_left_is_found_once_it_was_due_long_ago(
    at_work: Connection,
) -> None:
    """A worker claims a call for 90 seconds, and is not heard of again."""
    claim = (
        "select id from fleet.claim_provider_calls('w', array['stripe.refund'], 1, 9, 90,"
        " clock_timestamp() - interval '5 minutes')"
    )
    await at_work.execute(CALL, "k1", 0, "1 s")
    await at_work.execute("update fleet.provider_calls set lease_until = null")
    call_id = await at_work.fetchval(claim)
    assert call_id is not None
    assert wrong(await check_calls(context(at_work))) == []
    await at_work.execute(
        "update fleet.provider_calls set lease_until = lease_until - interval '2 minutes'"
    )
    (finding,) = noted(await check_calls(context(at_work)))
    assert finding.verdict is BROKEN
    assert finding.what.startswith("stripe.refund: 1 call begun by a worker that is gone")
    assert finding.subject == f"call:{call_id}"


@pytest.mark.provokes("calls_untried")
async def test_calls_that_no_worker_can_make_are_found(at_work: Connection) -> None:
    call_id = await at_work.fetchval(CALL, "k1", 0, "1 s")
    await at_work.execute(
        "update fleet.provider_calls set lease_until = null where id = $1", call_id
    )
    verdict, what = await found(check_calls, context(at_work))
    assert (verdict, what) == (BROKEN, "stripe: 1 call never tried, the oldest for 1 h")


@pytest.mark.provokes("events_dead")
async def test_events_that_are_dead_are_found(at_work: Connection) -> None:
    """A worker that can't read an event fails it, again and again."""
    event_id = await at_work.fetchval(EVENT, "stripe", "e1", "pending", None, 0, "1 hour")
    states = [
        await at_work.fetchval("select fleet.fail_event($1, 'ValueError')", event_id)
        for _ in range(10)
    ]
    assert "dead" in states
    (finding,) = noted(await check_events(context(at_work)))
    assert finding.verdict is BROKEN
    assert finding.what == (
        f"1 event dead: nobody tries them any more; the oldest (id {event_id}) came 1 h ago"
    )
    assert finding.subject == f"event:{event_id}"


@pytest.mark.provokes("events_not_taken")
async def test_an_event_that_no_worker_takes_is_found(at_work: Connection) -> None:
    await at_work.fetchval(EVENT, "stripe", "e1", "pending", None, 0, "5 minutes")
    await at_work.execute(
        "update fleet.inbox_events set next_attempt_at = clock_timestamp() - interval '61 seconds'"
    )
    verdict, what = await found(check_events, context(at_work))
    assert (verdict, what) == (
        BROKEN,
        "an event has been due for 1 min, and no worker takes it",
    )


@pytest.mark.provokes("trial_hangs")
async def test_a_trial_that_nobody_makes_is_found(at_work: Connection) -> None:
    assert wrong(await check_trials(context(at_work))) == []
    event_id = await at_work.fetchval(EVENT, "stripe", "e1", "dead", "failed", 0, "1 hour")
    await at_work.execute(
        "select fleet.ask_trial(array[$1::bigint], array['dead'], 'ann')", event_id
    )
    assert wrong(await check_trials(context(at_work))) == []
    await at_work.execute("update fleet.replay_trials set asked_at = asked_at - interval '1 hour'")
    verdict, what = await found(check_trials, context(at_work))
    assert (verdict, what.startswith("1 trial of a replay not made")) == (ATTENTION, True)


@pytest.mark.provokes("events_of_dead_workers")
async def test_an_event_whose_worker_died_is_found(
    own_session: Connection, pool: Pool, connect: Connect
) -> None:
    books = Books(own_session)
    (event_id,) = await books.receive(Payment().refund(1))
    worker = await connect("worker")
    await worker.execute("begin")
    (claimed,) = await worker.fetch("select * from fleet.claim_events(500, $1)", books.now)
    note = "select fleet.note_batch_start($1::text::xid8, $2, 'w')"
    await own_session.execute(note, str(claimed["xact_id"]), [event_id])
    await kill_session(own_session, worker)
    # The next worker finds out, and has the event to itself.
    async with own_session.transaction():
        await books.claim()
    verdict = {each.code: each for each in await check_events(context(pool))}
    finding = verdict["events_of_dead_workers"]
    assert (finding.verdict, finding.subject) == (ATTENTION, f"event:{event_id}")
    assert finding.what.startswith("1 pending event in the hands of workers that died, up to 1 ti")
    noted([finding])


@pytest.mark.provokes("events_wait_long")
async def test_events_whose_other_half_never_came_are_found(at_work: Connection) -> None:
    await at_work.fetchval(EVENT, "stripe", "e1", "waiting", "no_purchase_yet", 0, "2 days")
    assert wrong(await check_events(context(at_work))) == []
    event_id = await at_work.fetchval(
        EVENT, "stripe", "e2", "waiting", "no_purchase_yet", 0, "4 days"
    )
    (finding,) = noted(await check_events(context(at_work)))
    assert (finding.verdict, finding.subject) == (ATTENTION, f"event:{event_id}")
    assert finding.what.startswith("1 event waiting (no_purchase_yet) for what never came")


@pytest.mark.parametrize("days", [0, case("provider_silent", 2)])
async def test_a_provider_that_never_told_anything_is_found_after_a_day(
    at_work: Connection, days: int
) -> None:
    await at_work.execute(
        "update fleet.schema_migrations set applied_at = applied_at - $1 * interval '1 day'", days
    )
    await at_work.fetchval(EVENT, "stripe", "evt_1", "pending", None, 0, "1 min")
    # What clients submit does not come from Google.
    await at_work.fetchval(EVENT, "google", "client:1:2", "pending", None, 0, "1 min")
    findings = noted(await check_arrivals(context(at_work)))
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
@pytest.mark.provokes("events_refused")
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
    (finding,) = noted(await check_refusals(context(at_work)))
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


@pytest.mark.provokes("charge_failed")
async def test_one_charge_that_failed_after_its_grant_is_found(at_work: Connection) -> None:
    await at_work.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at)"
        " select 'stripe', 'e' || n, 'charge.failed', '{}', sha256(n::text::bytea),"
        " case when n = 1 then 'rejected' else 'ignored' end, 'charge_failed', now()"
        " from generate_series(1, 40) as n"
    )
    event_id = await at_work.fetchval("select min(id) from fleet.inbox_events")
    (finding,) = noted(await check_refusals(context(at_work)))
    assert (finding.verdict, finding.subject) == (ATTENTION, f"event:{event_id}")
    assert finding.what.startswith("stripe: of its newest 40 events 1 say")
    assert "coinfleet adjust" in finding.fix


async def test_without_a_web_nobody_knows_whose_events_are_taken(session: Connection) -> None:
    assert {each.verdict for each in await check_arrivals(context(session))} == {
        Verdict.NOT_CHECKED
    }


def test_what_a_fix_says_to_look_for_in_the_log_is_logged() -> None:
    workers = Path(work.__file__).parents[2]
    named = re.findall(r"in its log for (\w+)", Path(work.__file__).read_text())
    texts = [path.read_text() for path in workers.rglob("*.py")]
    assert named
    for event in named:
        assert any(f'("{event}"' in text for text in texts), event
