"""Why a webhook was refused: in metrics, in the log, and in the reports of web."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable, describe
from db.health.webs import RefusedInARow, WebDetail, read_webs, report_web
from tasks.providers import app, stripe
from tests.conditions import eventually
from tests.workers.receiving.serving import APP_SECRET, STRIPE_SECRET, Web, a_gift, serving
from tests.workers.receiving.test_web_health import metric
from workers.cli.simulate.events import Webhook
from workers.outage import Outage
from workers.receiving.refusals import LOG_EVERY_S, Refusals
from workers.receiving.reporter import WebReporter
from workers.version import release_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.connections.pool import Connection, Pool
    from db.inbox.arrivals import Stored
    from tests.clusters import Database


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    """A receiver whose database and queue work."""
    async with serving(database.url("web"), redis_url) as web:
        yield web


def signed_by(provider: str, *, secret: str, at_s: float) -> Webhook:
    """A webhook with a signature of this secret and time."""
    if provider == "stripe":
        headers = stripe.sign(b"{}", secret=secret, timestamp_s=int(at_s))
    else:
        headers = app.sign("id", b"{}", secret=secret, timestamp_s=int(at_s))
    return Webhook(f"/webhooks/{provider}", headers, b"{}")


async def test_refused_webhooks_are_counted_by_cause(web: Web) -> None:
    another = {"stripe": "whsec_another", "app": "whsec_" + "QUFB" * 8}
    ours = {"stripe": STRIPE_SECRET, "app": APP_SECRET}
    now_s = time.time()
    for provider in ("stripe", "app"):
        await web.client.post(f"/webhooks/{provider}")
        await web.post(signed_by(provider, secret=another[provider], at_s=now_s))
        await web.post(signed_by(provider, secret=ours[provider], at_s=now_s - 3_600))
        await web.post(signed_by(provider, secret=ours[provider], at_s=now_s + 3_600))
        await web.client.post(f"/webhooks/{provider}", content=b"x" * (256 * 1024 + 1))
    text = (await web.client.get("/metrics")).text
    for provider in ("stripe", "app"):
        for cause, number in {"missing": 1, "no_match": 1, "stale": 2, "too_large": 1}.items():
            name = f'coinfleet_webhooks_refused_total{{cause="{cause}",provider="{provider}"}}'
            assert metric(text, name) == number


async def test_the_counters_of_refusals_exist_before_the_first_one(web: Web) -> None:
    text = (await web.client.get("/metrics")).text
    for cause in ("missing", "unreadable", "no_match", "stale"):
        name = f'coinfleet_webhooks_refused_total{{cause="{cause}",provider="stripe"}}'
        assert metric(text, name) == 0


async def test_a_conflict_and_an_unknown_path_are_refusals_too(web: Web) -> None:
    await web.post(a_gift("gift-1"))
    await web.post(a_gift("gift-1", quantity=2))
    await web.client.post("/webhooks/nobody")
    text = (await web.client.get("/metrics")).text
    refused = "coinfleet_webhooks_refused_total"
    assert metric(text, refused + '{cause="conflict",provider="app"}') == 1
    assert metric(text, refused + '{cause="unknown_provider",provider="unknown"}') == 1


def test_a_stale_signature_is_logged_once_per_minute_with_its_age() -> None:
    now = 0.0
    refusals = Refusals(clock=lambda: now)
    with capture_logs() as logs:
        for _ in range(100):
            refusals.log_stale("stripe", 3_600.4)
        now = LOG_EVERY_S + 1
        refusals.log_stale("stripe", -7_200.0)
    assert [(line["event"], line["late_s"]) for line in logs] == [
        *(("signature_stale", 3_600), ("signature_stale", -7_200))
    ]


def test_an_accepted_webhook_ends_a_row_of_refusals() -> None:
    now = 0.0
    refusals = Refusals(clock=lambda: now)
    for cause in ("no_match", "stale", "no_match", "missing", "too_large", "conflict"):
        refusals.note_refused("stripe", cause)
    refusals.note_refused("app", "no_match")
    now = 5.0
    assert refusals.in_a_row() == (
        RefusedInARow("app", "no_match", 1, 5.0),
        RefusedInARow("stripe", "no_match", 2, 5.0),
        RefusedInARow("stripe", "stale", 1, 5.0),
    )
    refusals.note_accepted("stripe")
    assert refusals.in_a_row() == (RefusedInARow("app", "no_match", 1, 5.0),)


# Reports


async def test_web_reports_at_start(web: Web, db: Connection) -> None:
    async def reported() -> bool:
        return bool(await read_webs(db))

    await eventually(reported)
    (report,) = await read_webs(db)
    assert report.is_alive
    assert report.web.endswith(":8000")
    assert report.detail.providers == ("stripe", "app")


def reporter(pool: Pool, **changes: Any) -> WebReporter:
    """A reporter that shows its measurement of the clock to nobody."""
    options = {
        "port": 8000,
        "refusals": Refusals(),
        "note_clock_ahead": lambda _: None,
        "outage": Outage("database", then="senders get 503"),
    }
    return WebReporter(pool, **(options | changes))


async def test_a_clock_that_is_off_is_measured_and_logged_once(
    web_pool: Pool, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[float] = []
    ours = reporter(web_pool, note_clock_ahead=ahead.append)
    right = time.time
    monkeypatch.setattr("workers.receiving.reporter.time.time", lambda: right() + 400)
    with capture_logs() as logs:
        await ours.report()
        await ours.report()
        monkeypatch.setattr("workers.receiving.reporter.time.time", right)
        await ours.report()
    assert [line["event"] for line in logs] == ["clock_skewed", "clock_right_again"]
    assert [round(each, -2) for each in ahead] == [400, 400, 0]
    await ours.report()
    (report,) = await read_webs(db)
    assert report.detail.clock_ahead_s == pytest.approx(0, abs=5)
    assert report.detail.version == release_version()


async def test_an_error_of_storing_is_reported_by_its_sqlstate(
    web_pool: Pool, db: Connection
) -> None:
    async def fails() -> Sequence[Stored]:
        try:
            await db.execute(
                "do $$ begin raise sqlstate '53100' using message = 'disk full'; end $$"
            )
        except Exception as error:
            raise DatabaseUnavailable(describe(error)) from error
        raise AssertionError

    ours = reporter(web_pool)
    with pytest.raises(DatabaseUnavailable):
        await ours.watch(fails())
    await ours.report()
    (report,) = await read_webs(db)
    assert report.detail.trouble is not None
    assert report.detail.trouble.error.startswith("53100: ")

    async def stores() -> Sequence[Stored]:
        return []

    await ours.watch(stores())
    await ours.report()
    (report,) = await read_webs(db)
    assert report.detail.trouble is None


async def test_a_report_that_cannot_be_read_is_shown_as_empty(
    web_pool: Pool, db: Connection
) -> None:
    await report_web(web_pool, "box:8000", uptime_s=1, detail=WebDetail())
    await db.execute("""update fleet.web_reports set detail = '{"refused": 7}'""")
    (report,) = await read_webs(db)
    assert report.detail == WebDetail()
