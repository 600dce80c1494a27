"""Housekeeping: payloads and history are removed after some time, keys never."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from db import housekeeping
from db.health.vital_signs import read_vital_signs
from db.health.webs import WebDetail, read_webs, report_web
from db.health.workers import (
    OutcomeCount,
    WorkDetail,
    WorkerReport,
    read_workers,
    report_worker,
)
from tests.db.inbox.arrivals import BODY, receive

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


async def payloads(db: Connection) -> dict[str, bool]:
    """Whether each event still has its payload."""
    rows = await db.fetch("select provider_event_id, payload from fleet.inbox_events")
    return {row["provider_event_id"]: row["payload"] is not None for row in rows}


@pytest.mark.requirement("I4")
async def test_payloads_are_removed_after_90_days(db: Connection, worker_pool: Pool) -> None:
    await receive(db, "old", days_ago=90)
    await receive(db, "young", days_ago=90)
    young = "update fleet.inbox_events set received_at = received_at + interval '1 hour'"
    await db.execute(young + " where provider_event_id = 'young'")
    assert await housekeeping.drop_old_payloads(worker_pool) == 1
    assert await payloads(db) == {"old": False, "young": True}


@pytest.mark.requirement("I4")
async def test_an_errors_text_is_removed_with_the_payload(
    db: Connection, worker_pool: Pool
) -> None:
    await receive(db, "old", days_ago=91)
    await db.execute(
        "update fleet.inbox_events set state = 'dead', last_error = 'quotes', reason = 'failed'"
    )
    await housekeeping.drop_old_payloads(worker_pool)
    assert await db.fetchval("select last_error is null from fleet.inbox_events")


@pytest.mark.requirement("I4")
async def test_keys_and_hashes_stay_for_ever(db: Connection, worker_pool: Pool) -> None:
    await receive(db, "old", days_ago=4_000)
    await housekeeping.drop_old_payloads(worker_pool)
    row = await db.fetchrow("select provider_event_id, payload_sha256 from fleet.inbox_events")
    assert row is not None
    assert tuple(row) == ("old", sha256(BODY).digest())


@pytest.mark.requirement("I4")
async def test_an_event_without_its_payload_is_still_recognized(
    db: Connection, worker_pool: Pool, web_pool: Pool
) -> None:
    await receive(db, "old", days_ago=91)
    await housekeeping.drop_old_payloads(worker_pool)
    seen = await web_pool.fetch(
        "select same_body from fleet.store_events($1, $2, $3, $4, $5, $6, $7)",
        ["stripe"],
        ["old"],
        ["test"],
        [BODY],
        [sha256(BODY).digest()],
        ["pending"],
        [None],
    )
    assert [row["same_body"] for row in seen] == [True]


@pytest.mark.requirement("I4")
@pytest.mark.parametrize("state", ["pending", "waiting", "held"])
async def test_an_open_event_keeps_its_payload_until_it_is_finished(
    db: Connection, worker_pool: Pool, state: str
) -> None:
    await receive(db, "open", days_ago=91, state=state)
    await receive(db, "old", days_ago=91)
    assert await housekeeping.drop_old_payloads(worker_pool) == 1
    assert await payloads(db) == {"open": True, "old": False}
    await db.execute("update fleet.inbox_events set state = 'applied'")
    assert await housekeeping.drop_old_payloads(worker_pool) == 1
    assert await payloads(db) == {"open": False, "old": False}


@pytest.mark.requirement("I4")
async def test_each_call_removes_a_bounded_number_of_payloads(
    db: Connection, worker_pool: Pool
) -> None:
    for number in range(5):
        await receive(db, f"evt_{number}", days_ago=91)
    bites = [await housekeeping.drop_old_payloads(worker_pool, limit=2) for _ in range(4)]
    assert bites == [2, 2, 1, 0]


async def test_finished_ticks_are_removed_after_2_days_but_never_the_newest(
    db: Connection, worker_pool: Pool
) -> None:
    await db.execute(
        "insert into fleet.ticks (job, tick, finished_at, outcome)"
        " select 'job', n, now() - interval '3 days', 'done' from generate_series(1, 3) n"
    )
    assert await housekeeping.trim_history(worker_pool) == 2
    assert await db.fetchval("select tick from fleet.ticks") == 3


async def test_proofs_that_found_something_are_kept(db: Connection, worker_pool: Pool) -> None:
    await db.execute(
        "insert into fleet.proofs (kind, violations, started_at, finished_at)"
        " select 'new', n % 2, now(), now() - interval '3 days' from generate_series(1, 5) n"
    )
    await housekeeping.trim_history(worker_pool)
    kept = await db.fetch("select violations from fleet.proofs order by id")
    assert [row["violations"] for row in kept] == [1, 1, 1]


async def test_a_worker_not_heard_of_for_an_hour_is_forgotten(
    db: Connection, pool: Pool, worker_pool: Pool
) -> None:
    await report_worker(worker_pool, report())
    await housekeeping.trim_history(worker_pool)
    [worker] = await read_workers(pool)
    assert worker.is_alive
    await db.execute("update fleet.worker_reports set reported_at = now() - interval '61 minutes'")
    await housekeeping.trim_history(worker_pool)
    assert await read_workers(pool) == []


async def test_a_worker_of_the_release_before_reports_as_it_did(
    pool: Pool, worker_pool: Pool
) -> None:
    await worker_pool.execute(
        "select fleet.report_worker('old', 1, null, 2, 3, 4, array_fill(0, array[12]))"
    )
    [worker] = await read_workers(pool)
    assert (worker.worker, worker.batches, worker.events) == ("old", 2, 3)
    signs = await read_vital_signs(pool, timeout_s=5)
    assert signs.workers[0].detail == WorkDetail()


async def test_the_next_process_of_a_name_starts_anew(pool: Pool, worker_pool: Pool) -> None:
    detail = WorkDetail(outcomes=(OutcomeCount("applied", "", 7),))
    await report_worker(worker_pool, report(events=7, detail=detail, uptime_s=3_600.0))
    [first] = await read_workers(pool)
    await report_worker(worker_pool, report(events=0, uptime_s=1.0))
    [second] = await read_workers(pool)
    assert (second.worker, second.events) == (first.worker, 0)
    assert second.started_at > first.started_at
    assert (await read_vital_signs(pool, timeout_s=5)).workers[0].detail == WorkDetail()


async def test_web_processes_not_heard_of_for_an_hour_are_forgotten_but_the_last(
    db: Connection, web_pool: Pool, worker_pool: Pool
) -> None:
    for number in range(3):
        await report_web(web_pool, f"box:{number}", uptime_s=1, detail=WebDetail())
        await db.execute(
            "update fleet.web_reports set reported_at = now() - interval '1 hour' * (3 - $1)"
            " where web = 'box:' || $1::integer",
            number,
        )
    await housekeeping.trim_history(worker_pool)
    assert [report.web for report in await read_webs(db)] == ["box:2"]
    await db.execute("update fleet.web_reports set reported_at = now() - interval '9 hours'")
    await housekeeping.trim_history(worker_pool)
    assert [report.web for report in await read_webs(db)] == ["box:2"]


async def test_a_report_replaces_the_one_before(pool: Pool, worker_pool: Pool) -> None:
    await report_worker(worker_pool, report(events=1))
    await report_worker(worker_pool, report(events=2, doorbell_age_s=0.5))
    [worker] = await read_workers(pool)
    assert worker.events == 2
    assert worker.last_doorbell_at is not None
    assert worker.started_at < worker.last_doorbell_at


def report(
    *,
    events: int = 0,
    doorbell_age_s: float | None = None,
    uptime_s: float = 10.0,
    detail: WorkDetail | None = None,
) -> WorkerReport:
    """A worker's report, ten seconds after its start."""
    return WorkerReport(
        worker="host:1:abc",
        uptime_s=uptime_s,
        doorbell_age_s=doorbell_age_s,
        batches=events,
        events=events,
        apply_ms_total=1.5 * events,
        apply_buckets=[events, 0],
        detail=detail or WorkDetail(),
    )
