"""What happens to processes and servers: each is stopped, frozen, crowded, or has a wrong clock.

In this order on one fleet, which none of it survives.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection
from typing import TYPE_CHECKING

import httpx

from tests.conditions import eventually
from tests.faults.fleets import SCHEDULER, kill
from workers.cli.simulate.events import stripe_webhook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.deploy.incidents.scene import Scene

# Debian's; each architecture has a folder of its own.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
FAST_S = 45
ANOTHER_SECRET = "whsec_" + "another" * 5
# With so few descriptors it serves 64 connections.
FEW, CROWD = 256, 300


async def sign_with_another_secret(scene: Scene) -> None:
    for number in range(6):
        event = {"id": f"evt_{number}", "object": "event"}
        webhook = stripe_webhook(event, secret=ANOTHER_SECRET, at_s=time.time())
        assert await scene.post(webhook) == httpx.codes.BAD_REQUEST


async def connect_too_often(scene: Scene) -> None:
    web = await scene.start_web(descriptors=FEW)
    host, _, port = web.partition(":")
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(create_connection((host, int(port)), timeout=10))
        await scene.shows(
            "coinfleet_requests_refused_total", lambda n: n > 100, web=web, cause="crowded"
        )


async def set_a_clock_wrong(scene: Scene) -> None:
    assert FAKETIME is not None
    web = await scene.start_web(
        LD_PRELOAD=str(FAKETIME), FAKETIME=f"+{FAST_S}s", FAKETIME_DONT_FAKE_MONOTONIC="1"
    )
    await scene.shows("coinfleet_clock_ahead_seconds", lambda s: abs(s - FAST_S) < 5, web=web)


async def kill_the_queue(scene: Scene) -> None:
    scene.valkey.kill()
    await scene.shows("coinfleet_queue_up", lambda up: not up)


async def kill_the_scheduler(scene: Scene) -> None:
    await kill(scene.scheduler)
    await scene.age("schedules", "4 minutes", "fired_at")
    await scene.shows("coinfleet_job_fired_age_seconds", lambda age: age > 180)


async def start_the_scheduler_late(scene: Scene) -> None:
    """It was killed before; its last run is older now, and the next ones were nobody's."""
    await scene.db.execute(
        "delete from fleet.ticks as t where t.job = 'new_entries_proof'"
        " and t.tick < (select max(n.tick) from fleet.ticks as n where n.job = t.job)"
    )
    await scene.db.execute("update fleet.ticks set tick = tick - 5 where job = 'new_entries_proof'")
    scene.scheduler = await scene.fleet.start(SCHEDULER)
    await scene.shows("coinfleet_ticks_missed_total", lambda n: n > 0, schedule="new_entries_proof")


async def kill_the_worker(scene: Scene) -> None:
    await kill(scene.worker)
    await scene.age("worker_reports", "2 minutes", "reported_at")
    await scene.shows("coinfleet_worker_report_age_seconds", lambda age: age > 60)


async def leave_an_event(scene: Scene) -> None:
    """The worker was killed before, and nobody takes it."""
    await scene.post_paid()
    await scene.age("inbox_events", "2 minutes", "received_at", "next_attempt_at")
    await scene.shows("coinfleet_backlog_seconds", lambda age: age > 60)


async def prove_nothing_for_a_day(scene: Scene) -> None:
    """The worker was killed before, and nobody proves the whole of the books."""
    await scene.age("proofs", "31 hours", "started_at", "finished_at", where="kind = 'full'")
    await scene.shows("coinfleet_proof_age_seconds", lambda age: age > 108_000, kind="full")


async def stop_the_database(scene: Scene) -> None:
    scene.postgres.stop()
    await scene.shows("coinfleet_database_up", lambda up: not up)


async def receive_without_a_database(scene: Scene) -> None:
    _, webhook = scene.buys()
    assert await scene.post(webhook) == httpx.codes.SERVICE_UNAVAILABLE


async def stop_all_webs(scene: Scene) -> None:
    for web in scene.webs.values():
        web.signal(signal.SIGTERM)

    async def is_silent() -> bool:
        return await scene.scrape() == {}

    await eventually(is_silent)


MACHINERY: dict[str, Callable[[Scene], Awaitable[object]]] = {
    "CoinfleetSignaturesRefused": sign_with_another_secret,
    "CoinfleetRequestsRefused": connect_too_often,
    "CoinfleetClockSkewed": set_a_clock_wrong,
    "CoinfleetQueueUnreachable": kill_the_queue,
    "CoinfleetNoScheduler": kill_the_scheduler,
    "CoinfleetTicksMissed": start_the_scheduler_late,
    "CoinfleetNoWorker": kill_the_worker,
    "CoinfleetBacklog": leave_an_event,
    "CoinfleetNotProved, all of it": prove_nothing_for_a_day,
    "CoinfleetDatabaseUnreachable": stop_the_database,
    "CoinfleetWebhooksNotStored": receive_without_a_database,
    "CoinfleetNotScraped": stop_all_webs,
}
