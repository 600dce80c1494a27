"""The reports of a web process notice an outage too, also while no webhook comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from workers.outage import Outage
from workers.receiving import reporter as reporter_module
from workers.receiving.refusals import Refusals
from workers.receiving.reporter import WebReporter

if TYPE_CHECKING:
    from collections.abc import Sequence

THEN = "senders get 503 and send again"


async def events_logged(
    monkeypatch: pytest.MonkeyPatch, outcomes: Sequence[Exception | None], outage: Outage
) -> list[str]:
    """The events of the log while reports end so, one after the other."""
    is_over = asyncio.Event()
    coming = iter(outcomes)

    async def report() -> None:
        try:
            error = next(coming)
        except StopIteration:
            is_over.set()
            await asyncio.Event().wait()
        else:
            if error is not None:
                raise error

    monkeypatch.setattr(reporter_module, "REPORT_EVERY_S", 0)
    reporter = WebReporter(
        None,  # type: ignore[arg-type]
        port=8000,
        refusals=Refusals(),
        note_clock_ahead=lambda _: None,
        outage=outage,
    )
    monkeypatch.setattr(reporter, "report", report)
    with capture_logs() as logs:
        reporter.start()
        await is_over.wait()
        await reporter.close()
    return [line["event"] for line in logs if line["log_level"] != "debug"]


async def test_an_outage_that_only_reports_meet_is_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = DatabaseUnavailable("no answer")
    outcomes = [None, gone, TimeoutError(), gone, None, None]
    found = await events_logged(monkeypatch, outcomes, Outage("database", then=THEN))
    assert found == ["database_unreachable", "database_back"]


async def test_a_first_report_that_fails_is_left_to_the_check_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = [DatabaseUnavailable("no answer"), None]
    assert await events_logged(monkeypatch, outcomes, Outage("database", then=THEN)) == []


async def test_an_error_that_waiting_does_not_cure_is_no_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = [None, ValueError("no such function"), None]
    assert await events_logged(monkeypatch, outcomes, Outage("database", then=THEN)) == []


async def test_an_outage_noticed_at_the_start_is_over_with_the_first_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outage = Outage("database", then=THEN)
    outage.begin(reporter_module.REPORTING, reason="Connection refused")
    assert await events_logged(monkeypatch, [None], outage) == ["database_back"]
