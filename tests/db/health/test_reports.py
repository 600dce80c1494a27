"""Reports of processes: anybody with a process's password writes them, and none hides another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.health.vital_signs import read_vital_signs
from db.health.webs import WebDetail, read_webs, report_web
from db.health.workers import read_workers

if TYPE_CHECKING:
    from db.connections.pool import Connection

NO_REPORTS = [
    "1",
    '"text"',
    "[]",
    "null",
    '{"outcomes": ' + "[" * 1000 + "]" * 1000 + "}",
    '{"refused": ' + '{"a":' * 9 + "1" + "}" * 9 + "}",
]
# Objects of few levels, which the tables take.
OF_ANOTHER_SHAPE = [
    '{"refused": 1, "outcomes": 1}',
    '{"trouble": [], "failures": [{}]}',
    '{"clock_ahead_s": "soon", "latency_buckets": [1.5]}',
]
COUNTED = {"batches": 1, "events": 2, "apply_ms_total": 3.0, "apply_buckets": [1]}


async def report_work(db: Connection, worker: str, detail: str = "{}", **counted: object) -> None:
    """Write a worker's report, as its password allows."""
    await db.execute(
        "select fleet.report_work($1, 1, null,"
        " $2::jsonb || jsonb_build_object('detail', $3::jsonb))",
        worker,
        json.dumps(COUNTED | counted),
        detail,
    )


@pytest.mark.parametrize("detail", NO_REPORTS)
async def test_only_an_object_of_few_levels_is_a_report(db: Connection, detail: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with db.transaction():
            await db.execute("select fleet.report_web('w', 1, $1::jsonb)", detail)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await report_work(db, "w", detail)


@pytest.mark.parametrize("ms", ["NaN", "Infinity", "-1"])
async def test_a_time_spent_is_a_number(db: Connection, ms: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await report_work(db, "w", apply_ms_total=ms)


@pytest.mark.parametrize("age_s", [9e12, 1e9, -1e12])
async def test_a_time_that_no_reader_can_show_is_no_report(db: Connection, age_s: float) -> None:
    work = json.dumps(COUNTED | {"detail": {}})
    for report, *values in (
        ("select fleet.report_web('w', $1, '{}')",),
        ("select fleet.report_work('w', $1, null, $2::jsonb)", work),
        ("select fleet.report_work('w', 1, $1, $2::jsonb)", work),
    ):
        with pytest.raises((asyncpg.CheckViolationError, asyncpg.DatetimeFieldOverflowError)):
            await db.execute(report, age_s, *values)
    assert await read_webs(db) == []
    assert await read_workers(db) == []


@pytest.mark.parametrize("detail", OF_ANOTHER_SHAPE)
async def test_a_report_of_another_shape_hides_no_other(db: Connection, detail: str) -> None:
    await report_work(db, "odd", detail)
    await report_work(db, "good")
    await db.execute("select fleet.report_web('odd', 1, $1::jsonb)", detail)
    await report_web(db, "good", uptime_s=1, detail=WebDetail(clock_ahead_s=0.5))
    signs = await read_vital_signs(db, timeout_s=5)
    assert [worker.worker for worker in signs.workers] == ["good"]
    assert [worker.worker for worker in await read_workers(db)] == ["good", "odd"]
    assert {web.web: web.detail.clock_ahead_s for web in await read_webs(db)} == {
        "good": 0.5,
        "odd": None,
    }


async def test_reports_from_before_the_check_are_read_with_care(db: Connection) -> None:
    await db.execute(
        "alter table fleet.web_reports drop constraint web_detail_is_an_object_of_few_levels"
    )
    for name, detail in enumerate(NO_REPORTS):
        await db.execute("select fleet.report_web($1, 1, $2::jsonb)", f"web-{name}", detail)
    assert [web.detail for web in await read_webs(db)] == [WebDetail()] * len(NO_REPORTS)
