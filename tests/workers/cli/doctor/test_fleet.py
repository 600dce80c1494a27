"""What `coinfleet doctor` finds of processes that really run, and report what they meet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from db.inbox.arrivals import Arrival, store_arrivals
from schedules.timetable import TIMETABLE
from tests.conditions import eventually
from tests.journeys.fleet_run import free_port
from tests.provoking import noted
from tests.workers.cli.doctor.findings import WRONG, context
from workers import processes
from workers.cli.doctor.work import check_processes, check_schedules
from workers.cli.simulate.events import app_webhook, gift_sent
from workers.mock_providers.stripe import ACCOUNT, KEY, stripe_server
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tasks.findings import Finding
    from tests.workers.conftest import Run
    from workers.cli.doctor.examining import Run as Check

pytestmark = pytest.mark.long

WEB, WORKER = processes.WEB.module, processes.WORKER.module
SECRET = DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]
OTHER_SECRET = "whsec_b2Ygc29tZWJvZHkgZWxzZSwgMjQgYnl0ZXM="


async def in_time(check: Check, pool: Pool, code: str) -> Finding:
    """Wait until the check finds this: a process reports each ten seconds."""
    found: list[Finding] = []

    async def is_found() -> bool:
        found[:] = [each for each in noted(await check(context(pool))) if each.code == code]
        return bool(found)

    await eventually(is_found, poll_s=0.3)
    assert found[0].verdict in WRONG
    assert found[0].fix
    return found[0]


@pytest_asyncio.fixture
async def web(run: Run) -> str:
    """A receiver's address."""
    port = free_port()
    await run(WEB, **DEVELOPMENT_SECRETS, PORT=str(port))
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base) as client:

        async def is_ready() -> bool:
            try:
                return (await client.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        await eventually(is_ready)
    return base


async def post(base: str, *, secret: str, number: int) -> int:
    """Send a gift; return the status of the answer."""
    event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose")
    webhook = app_webhook(f"gift_{number}", event, secret=secret, at_s=time.time())
    async with httpx.AsyncClient(base_url=base) as client:
        answer = await client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers)
        )
    return answer.status_code


@pytest.mark.provokes("webhooks_refused")
async def test_webhooks_of_another_secret_are_found(web: str, pool: Pool) -> None:
    for number in range(3):
        assert await post(web, secret=OTHER_SECRET, number=number) == 400
    finding = await in_time(check_processes, pool, "webhooks_refused")
    assert "refused 3 webhooks of app in a row (no_match)" in finding.what


@pytest.mark.provokes("web_in_trouble")
async def test_a_receiver_that_lacks_a_right_is_found(web: str, pool: Pool, db: Connection) -> None:
    report = "function fleet.report_web(text, double precision, jsonb)"
    await db.execute(
        "revoke execute on all functions in schema fleet from coinfleet_web;"
        f" grant execute on {report} to coinfleet_web"
    )
    assert await post(web, secret=SECRET, number=1) >= 500
    finding = await in_time(check_processes, pool, "web_in_trouble")
    assert "could not store webhooks: 42501: " in finding.what


@pytest.mark.provokes("worker_in_trouble")
async def test_a_worker_that_lacks_a_right_is_found(run: Run, pool: Pool, db: Connection) -> None:
    await run(WORKER)
    await in_report(pool)
    await db.execute(
        "revoke execute on function fleet.claim_events(integer, timestamptz),"
        " fleet.claim_noted_events(xid8) from coinfleet_worker"
    )
    await store_arrivals(pool, [Arrival("app", "e1", "gift.sent", b"{}", b"0")])
    finding = await in_time(check_processes, pool, "worker_in_trouble")
    assert "42501" in finding.what


@pytest.mark.provokes("worker_asks_nothing")
async def test_a_worker_with_the_key_of_another_account_is_found(
    run: Run, pool: Pool, db: Connection
) -> None:
    async with stripe_server() as stripe:
        await run(
            WORKER,
            STRIPE_API_KEY=KEY,
            STRIPE_API_BASE=stripe.base,
            STRIPE_ACCOUNTS="acct_ours",
        )
        await db.execute(
            "insert into fleet.provider_calls (kind, key, request)"
            """ values ('stripe.refund', 'k', '{"payment_intent": "pi_1"}')"""
        )
        finding = await in_time(check_processes, pool, "worker_asks_nothing")
    assert f"asks nothing of stripe: STRIPE_API_KEY is a key of {ACCOUNT}" in finding.what


@pytest.mark.provokes("job_failed")
async def test_a_job_that_a_worker_fails_is_found(run: Run, pool: Pool, db: Connection) -> None:
    await db.execute("drop function fleet.record_full_proof(timestamptz, xid8, bigint, jsonb)")
    for schedule in TIMETABLE:
        await db.execute("select fleet.open_tick($1, $2, 0)", schedule.name, schedule.every_s)
    await run(WORKER)
    finding = await in_time(check_schedules, pool, "job_failed")
    assert finding.what.startswith("full_proof failed, and runs again at its next time: Undefined")


async def in_report(pool: Pool) -> None:
    """Wait until a worker reports."""

    async def reports() -> bool:
        found: bool = await pool.fetchval("select exists (select from fleet.worker_reports)")
        return found

    await eventually(reports)
