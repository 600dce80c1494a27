"""A worker's clock that is off is told: in its report, and once in the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from db.health.vital_signs import read_vital_signs
from tasks.context import Meter
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
