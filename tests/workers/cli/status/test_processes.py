"""What `coinfleet status` says of web and worker processes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from db.health.webs import RefusedInARow, WebDetail, WebStatus, report_web
from db.health.workers import Trouble
from tasks.providers import PROVIDERS
from tests.workers.cli.status.questions import health_of
from workers.cli.status.processes import (
    RECENT_S,
    REFUSED_FROM,
    judge_webs,
)
from workers.cli.status.report import describe_web, show

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database


@pytest.mark.usefixtures("at_work")
async def test_a_worker_that_stops_reporting_does_not_count(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "update fleet.worker_reports set reported_at = clock_timestamp() - interval '11 seconds'"
    )
    assert (await health_of(database)).attention == ["no worker reports"]


def a_web(**detail: Any) -> WebStatus:
    """A web process that reported just now."""
    now = datetime.now(UTC)
    return WebStatus("box:8000", now, now, is_alive=True, detail=WebDetail(**detail))


def judged(*webs: WebStatus) -> list[str]:
    return [fault.line for fault in judge_webs(list(webs), datetime.now(UTC))]


def test_a_web_process_that_stores_webhooks_needs_nobody() -> None:
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
        (
            {"refused": (RefusedInARow("app", "stale", 12, 5.0),)},
            "12 webhooks of app in a row (stale)",
        ),
        ({"refused": (RefusedInARow("stripe", "no_match", 3, 5.0),)}, "does the secret here match"),
        ({"clock_ahead_s": 400.0}, "7 min ahead of the database's"),
        ({"clock_ahead_s": -400.0}, "7 min behind the database's"),
    ],
)
def test_a_web_process_that_refuses_webhooks_needs_a_person(
    detail: dict[str, Any], words: str
) -> None:
    (line,) = judged(a_web(**detail))
    assert line.partition("web box:8000")[1]
    assert words in line


@pytest.mark.usefixtures("at_work")
async def test_it_is_said_which_providers_events_are_taken(
    database: Database, web_pool: Pool
) -> None:
    await report_web(web_pool, "old:8000", uptime_s=60, detail=WebDetail())
    await report_web(
        web_pool,
        "box:8000",
        uptime_s=60,
        detail=WebDetail(providers=("app",), purchases_from=("app",)),
    )
    console = Console(file=StringIO(), width=200)
    health = await health_of(database)
    show(console, health)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "web old:8000: up for 1 min\n" in shown
    (line,) = [line for line in shown.splitlines() if "web box:8000" in line]
    assert "takes events of app; not of stripe" in line
    assert line.endswith("; purchases that clients submit of app")
    # Nobody need be called for it.
    assert health.healthy


def test_a_store_without_a_key_for_its_clients_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    web = a_web(providers=("app",), purchases_from=())
    assert "clients" not in describe_web(web, datetime.now(UTC))
    (app,) = [provider for provider in PROVIDERS if provider.name == "app"]
    monkeypatch.setattr(app, "takes_submissions", True)
    line = describe_web(web, datetime.now(UTC))
    assert line.endswith("; no purchases that clients submit (set SUPABASE_JWKS_URL)")


@pytest.mark.usefixtures("at_work")
async def test_a_web_process_that_stops_reporting_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await report_web(web_pool, "box:8000", uptime_s=60, detail=WebDetail())
    assert (await health_of(database)).healthy
    await db.execute("update fleet.web_reports set reported_at = now() - interval '5 minutes'")
    (line,) = (await health_of(database)).attention
    assert (
        line == "no web process reports: the last report, of box:8000, was 5 min ago; does it run?"
    )


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
        f"work of worker host:1 fails: {trouble['error']}; free space on the database's disk"
    )


@pytest.mark.usefixtures("at_work")
async def test_a_worker_with_a_key_of_another_account_needs_a_person(
    database: Database, db: Connection
) -> None:
    await db.execute(
        "insert into fleet.provider_calls (kind, key, created_at) values"
        " ('stripe.refund', 'a', now() - interval '1 hour')"
    )
    fault = {"provider": "stripe", "fault": "STRIPE_API_KEY is a key of acct_other, which …"}
    detail = json.dumps({"faults": [fault]})
    await db.execute("update fleet.worker_reports set detail = $1", detail)
    # One line, and none that calls it a missing key.
    (line,) = (await health_of(database)).attention
    assert line == (
        f"worker host:1 asks nothing of stripe: {fault['fault']}: refunds and all else wait; set"
        " the right key, or add the account, and restart `worker`"
    )
    # Once it has been restarted, its reports say so no more.
    await db.execute("update fleet.worker_reports set detail = '{}'")
    (line,) = (await health_of(database)).attention
    assert line.startswith("calls to stripe: 1 untried")
