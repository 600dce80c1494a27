"""The worker process: finds its work whatever is unreachable, and stops when it is asked to."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db import ticks
from db.inbox.arrivals import Arrival, store_arrivals
from tasks import PROCESS_PAYMENT_EVENTS
from tests.conditions import eventually, somebody_waits_for_a_lock
from workers.queue.doorbell import Bell
from workers.version import release_version

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect
    from tests.servers.gate import Gate
    from tests.workers.conftest import Run

WORKER = "workers.consumer"
NOWHERE = "redis://127.0.0.1:1"


@pytest_asyncio.fixture
async def event(web_pool: Pool) -> None:
    """An event of a kind that doesn't concern us waits in the inbox."""
    await store_arrivals(
        web_pool,
        [
            Arrival(
                provider="stripe",
                provider_event_id="evt_1",
                event_type="customer.created",
                payload=b'{"id":"evt_1","object":"event","type":"customer.created",'
                b'"livemode":false,"created":1777777777,"data":{"object":{}}}',
                payload_sha256=b"0" * 32,
            )
        ],
    )


async def event_is_done(db: Connection) -> bool:
    """Whether the event got its outcome."""
    return bool(await db.fetchval("select state <> 'pending' from fleet.inbox_events"))


async def outcomes(db: Connection) -> dict[str, str]:
    """What became of each job's newest tick."""
    rows = await db.fetch("select job, outcome from fleet.ticks where outcome is not null")
    return {row["job"]: row["outcome"] for row in rows}


async def open_tick(scheduler_pool: Pool, job: str = "publish_state") -> ticks.Tick:
    """A tick is due, and no message asks for it."""
    [tick] = await ticks.open_tick(scheduler_pool, job, every_s=86_400, offset_s=0)
    return tick


@pytest.mark.usefixtures("event")
async def test_a_worker_finds_events_without_a_ring(run: Run, db: Connection) -> None:
    await run(WORKER)
    await eventually(lambda: event_is_done(db))


@pytest.mark.usefixtures("event")
async def test_a_worker_works_without_a_queue(
    run: Run, db: Connection, scheduler_pool: Pool
) -> None:
    await open_tick(scheduler_pool)
    await run(WORKER, REDIS_URL=NOWHERE)
    await eventually(lambda: event_is_done(db))
    await eventually(lambda: outcomes(db))


async def test_a_worker_logs_once_that_its_queue_is_unreachable_and_raises_no_alarm(
    run: Run, queue_gate: Gate
) -> None:
    worker = await run(WORKER, REDIS_URL=queue_gate.url)
    await worker.said("queue_unreachable")
    await queue_gate.open()
    await worker.said("queue_back")
    lines = [json.loads(line) for line in worker.text.splitlines()]
    told = [line["event"] for line in lines if line["level"] != "info"]
    assert told == ["queue_unreachable"]


async def test_a_worker_reports_that_it_answered_a_doorbell(
    run: Run, db: Connection, redis_url: str
) -> None:
    worker = await run(WORKER)
    await worker.said("worker_started")
    bell = Bell(redis_url)
    bell.ring(PROCESS_PAYMENT_EVENTS)
    bell.close()
    await eventually(
        lambda: db.fetchval("select last_doorbell_at is not null from fleet.worker_reports")
    )


COUNTED = "select (detail -> 'outcomes' -> 0 ->> 'events')::integer from fleet.worker_reports"


@pytest.mark.usefixtures("event")
async def test_a_worker_that_stops_has_reported_all_it_counted_and_frees_its_name(
    run: Run, db: Connection
) -> None:
    counted = []
    for _ in range(2):
        worker = await run(WORKER, WORKER_NAME="box")
        await worker.said("worker_started")
        await eventually(lambda: event_is_done(db))
        worker.signal()
        assert await worker.ended() == 0
        reported = await db.fetch("select worker, detail ->> 'version' from fleet.worker_reports")
        assert [tuple(row) for row in reported] == [("box:1", release_version())]
        counted.append(await db.fetchval(COUNTED))
    # The second found nothing to do.
    assert counted == [1, None]


@pytest.mark.long
@pytest.mark.usefixtures("event")
async def test_a_worker_started_before_its_database_waits_for_it(
    run: Run, db: Connection, database_gate: Gate
) -> None:
    worker = await run(WORKER, WORKER_DATABASE_URL=database_gate.url)
    await worker.said("database_unreachable")
    await database_gate.open()
    await eventually(lambda: event_is_done(db))
    await worker.said("database_back")


@pytest.mark.long
@pytest.mark.usefixtures("event")
async def test_a_worker_goes_on_after_an_outage_of_its_database(
    run: Run, db: Connection, database_gate: Gate
) -> None:
    await database_gate.open()
    worker = await run(WORKER, WORKER_DATABASE_URL=database_gate.url)
    await eventually(lambda: event_is_done(db))
    await database_gate.close()
    await worker.said("database_unreachable")
    await db.execute("update fleet.inbox_events set state = 'pending'")
    await database_gate.open()
    await eventually(lambda: event_is_done(db))


async def test_two_workers_do_each_tick_once(
    run: Run, db: Connection, scheduler_pool: Pool
) -> None:
    for job in ("publish_state", "stale_viewers", "housekeeping", "new_entries_proof"):
        await open_tick(scheduler_pool, job)
    await run(WORKER)
    await run(WORKER)

    async def all_are_done() -> bool:
        return len(await outcomes(db)) == 4

    await eventually(all_are_done)
    assert await db.fetchval("select array_agg(distinct attempts) from fleet.ticks") == [1]
    assert await db.fetchval("select count(*) from fleet.proofs") == 1


@pytest.mark.long
async def test_a_job_that_raises_is_recorded_and_tried_again(
    run: Run, db: Connection, scheduler_pool: Pool
) -> None:
    await db.execute("alter function fleet.trim_history(timestamptz) rename to gone")
    await open_tick(scheduler_pool, "housekeeping")
    await run(WORKER)
    await eventually(lambda: db.fetchval("select last_error like 'Undefined%' from fleet.ticks"))
    await db.execute("alter function fleet.gone(timestamptz) rename to trim_history")
    await eventually(lambda: outcomes(db))
    assert await db.fetchval("select attempts from fleet.ticks") == 2


@pytest.mark.long
async def test_a_tick_whose_worker_was_killed_is_done_by_another(
    run: Run, db: Connection, scheduler_pool: Pool, connect: Connect
) -> None:
    await open_tick(scheduler_pool)
    blocking = await connect("owner")
    async with blocking.transaction():
        await blocking.execute("select from fleet.publish_horizon for update")
        killed = await run(WORKER)
        await somebody_waits_for_a_lock(db)
        killed.signal(signal.SIGKILL)
        await killed.ended()
        assert await outcomes(db) == {}
    await run(WORKER)
    await eventually(lambda: outcomes(db))
    assert await db.fetchval("select attempts from fleet.ticks") == 2


@pytest.mark.long
async def test_sigterm_ends_an_idle_worker(run: Run) -> None:
    worker = await run(WORKER)
    await worker.said("worker_started")
    worker.signal()
    assert await worker.ended() == 0
    assert "worker_stopped" in worker.text


@pytest.mark.long
async def test_a_second_signal_changes_nothing(run: Run) -> None:
    worker = await run(WORKER)
    await worker.said("worker_started")
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        worker.signal(signum)
    assert await worker.ended() == 0


@pytest.mark.long
async def test_what_runs_when_a_worker_is_asked_to_stop_may_finish(
    run: Run, db: Connection, scheduler_pool: Pool, connect: Connect
) -> None:
    await open_tick(scheduler_pool)
    blocking = await connect("owner")
    async with blocking.transaction():
        await blocking.execute("select from fleet.publish_horizon for update")
        worker = await run(WORKER)
        await somebody_waits_for_a_lock(db)
        worker.signal()
        await worker.said("stopping")
    assert await worker.ended() == 0
    assert await outcomes(db) == {"publish_state": "done"}


@pytest.mark.long
async def test_what_takes_longer_than_its_grace_is_rolled_back(
    run: Run, db: Connection, scheduler_pool: Pool, connect: Connect
) -> None:
    await open_tick(scheduler_pool)
    blocking = await connect("owner")
    async with blocking.transaction():
        # Holds past the lock timeout too: each attempt of the worker waits here.
        await blocking.execute("select from fleet.publish_horizon for update")
        worker = await run(WORKER)
        await somebody_waits_for_a_lock(db)
        worker.signal()
        assert await worker.ended() == 0
    assert await outcomes(db) == {}


@pytest.mark.long
@pytest.mark.parametrize("gone", ["WORKER_DATABASE_URL", "REDIS_URL", "both"])
async def test_sigterm_ends_a_worker_whose_servers_were_never_there(run: Run, gone: str) -> None:
    environment = {
        "WORKER_DATABASE_URL": "postgresql://coinfleet_worker@127.0.0.1:1/coinfleet",
        "REDIS_URL": NOWHERE,
    }
    worker = await run(
        WORKER, **{name: url for name, url in environment.items() if gone in (name, "both")}
    )
    await worker.said("worker_started")
    worker.signal()
    assert await worker.ended() == 0


@pytest.mark.long
async def test_sigterm_ends_a_worker_whose_servers_froze(
    run: Run, database_gate: Gate, queue_gate: Gate
) -> None:
    await database_gate.open()
    await queue_gate.open()
    worker = await run(WORKER, WORKER_DATABASE_URL=database_gate.url, REDIS_URL=queue_gate.url)
    await worker.said("worker_started")
    await database_gate.freeze()
    await queue_gate.freeze()
    worker.signal()
    assert await worker.ended() in {0, 1}


@pytest.mark.long
async def test_sigterm_ends_a_worker_that_waits_for_a_frozen_database_to_answer(
    run: Run, database_gate: Gate
) -> None:
    await database_gate.freeze()
    worker = await run(WORKER, WORKER_DATABASE_URL=database_gate.url)
    await eventually(lambda: is_listening(worker.popen.pid))
    worker.signal()
    assert await worker.ended() in {0, 1}


async def is_listening(pid: int) -> bool:
    """Whether the process blocks its signals, that is, listens for them."""
    status = Path(f"/proc/{pid}/status").read_text()  # noqa: ASYNC240 - of the kernel, not a disk
    [blocked] = [line for line in status.splitlines() if line.startswith("SigBlk")]
    return bool(int(blocked.split()[1], 16) & 1 << (signal.SIGTERM - 1))


async def test_a_worker_that_its_database_refuses_ends(
    run: Run, environment: dict[str, str]
) -> None:
    wrong = environment["WORKER_DATABASE_URL"].replace(":test@", ":wrong@")
    worker = await run(WORKER, WORKER_DATABASE_URL=wrong)
    assert await worker.ended() == 1
    assert "worker_not_started" in worker.text
