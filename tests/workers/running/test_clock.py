"""A worker's clock that is off is told: in its report, and once in the log."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from db.health.vital_signs import read_vital_signs
from tasks.context import Meter
from workers import clock
from workers.clock import ClockWatch
from workers.running.reports import Reports

if TYPE_CHECKING:
    from db.connections.pool import Pool


async def test_a_worker_reports_how_far_its_clock_is_off(
    worker_pool: Pool, web_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    reports = Reports(worker_pool, worker="w:1", meter=Meter())
    with capture_logs() as logs:
        for ahead_s in (-7_200.0, -7_200.0, 0.0):
            with monkeypatch.context() as patched:
                patched.setattr(time, "time", lambda ahead_s=ahead_s: right() + ahead_s)
                await reports.write(within_s=5)
                # The next report tells what this one measured.
                await reports.write(within_s=5)
            (report,) = (await read_vital_signs(web_pool, timeout_s=5)).workers
            assert report.detail.clock_ahead_s == pytest.approx(ahead_s, abs=5)
    assert [each["event"] for each in logs] == ["clock_skewed", "clock_right_again"]


@pytest.mark.parametrize(
    ("ahead_s", "events"),
    [(5.0, []), (5.1, ["clock_skewed"]), (-5.0, []), (-5.1, ["clock_skewed"])],
)
async def test_a_clock_is_off_beyond_five_seconds_of_the_middle_of_the_question(
    monkeypatch: pytest.MonkeyPatch, ahead_s: float, events: list[str]
) -> None:
    asked_and_answered = iter((1_000.0, 1_004.0))
    stopped = SimpleNamespace(time=lambda: next(asked_and_answered))
    monkeypatch.setattr(clock, "time", stopped)

    async def telling() -> datetime:
        return datetime.fromtimestamp(1_002 - ahead_s, UTC)

    with capture_logs() as logs:
        assert await ClockWatch("set it").compare(telling()) == pytest.approx(ahead_s)
    assert [each["event"] for each in logs] == events
