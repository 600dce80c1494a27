"""`coinfleet status` as a command: its exit codes, its JSON, and output of any width."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.workers.cli.operators import coinfleet
from tests.workers.cli.status.questions import NOWHERE, store_event

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.workers.cli.conftest import Typed


@pytest.mark.usefixtures("at_work")
async def test_a_healthy_fleet_exits_zero_and_says_so(database: Database, redis_url: str) -> None:
    result = await asyncio.to_thread(
        coinfleet, "status", DATABASE_URL=database.url(), REDIS_URL=redis_url
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("✓ healthy\n")


async def test_what_needs_a_person_comes_first_and_exits_one(database: Database) -> None:
    result = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=database.url())
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("✗ 2 things need a person\n- no scheduler: ")
    assert "healthy" not in result.stdout


@pytest.mark.usefixtures("at_work")
async def test_the_keys_of_json_are_stable(
    typed: Typed, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    ended = await typed("status", "--json")
    printed: dict[str, Any] = json.loads(ended.out)
    assert printed["attention"] == []
    assert (ended.code, printed["healthy"]) == (0, True)
    assert list(printed) == [
        *("healthy", "attention", "checked_at", "schema_current", "events", "events_by_provider"),
        *("oldest_pending_s", "held", "held_by_reason", "dead", "frozen", "calls", "histories"),
        *("scheduler_fired_at", "schedules", "drift", "workers", "webs", "queue"),
    ]
    assert list(printed["events"]) == [
        *("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
    ]
    assert list(printed["schedules"][0]) == [
        *("job", "every_s", "last_done_at", "outcome", "missed", "failed", "last_error", "overdue"),
        "paused",
    ]
    assert {"violations", "last_new_at", "last_full_at", "detail"} <= printed["drift"].keys()
    assert printed["queue"] == {"reachable": True, "waiting": 0}


@pytest.mark.long
def test_an_unreachable_database_is_one_line_and_exits_two() -> None:
    result = coinfleet("status", DATABASE_URL=NOWHERE)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("coinfleet: ")
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.stderr


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("words", "environment"),
    [
        ((), {"DATABASE_URL": NOWHERE}),
        ((), {"DATABASE_URL": "no address"}),
        ((), {}),
        (("--no-such-option",), {"DATABASE_URL": NOWHERE}),
        ((), {"DATABASE_URL": NOWHERE, "STATUS_HELD_AFTER_MINUTES": "soon"}),
    ],
)
def test_an_error_is_json_too(words: tuple[str, ...], environment: dict[str, str]) -> None:
    result = coinfleet("status", "--json", *words, **environment)
    printed = json.loads(result.stdout)
    assert result.returncode == 2
    assert printed["healthy"] is False
    assert printed["error"]
    assert "secret" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long_but_first
@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
async def test_the_output_may_have_any_encoding(database: Database, encoding: str) -> None:
    result = await asyncio.to_thread(
        coinfleet, "status", DATABASE_URL=database.url(), PYTHONIOENCODING=encoding
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("ok healthy\n")


async def test_it_works_at_forty_columns_and_cuts_no_id(
    typed: Typed, web_pool: Pool, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    event_id = "evt_1NG8Du2eZvKYlo2CUI79vXWy" + "x" * 40
    await store_event(web_pool, event_id)
    await db.execute("update fleet.inbox_events set state = 'held', reason = 'over_limit'")
    ended = await typed("status")
    assert ended.err == ""
    assert [line for line in ended.out.splitlines() if len(line) > 40] == [f"  {event_id}"]


async def test_piped_output_is_neither_cut_nor_wrapped(
    typed: Typed, web_pool: Pool, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    event_id = "evt_" + "x" * 200
    await store_event(web_pool, event_id)
    await db.execute(
        "update fleet.inbox_events set state = 'dead', reason = 'failed', last_error = $1",
        "Boom " * 60,
    )
    ended = await typed("status")
    assert event_id in ended.out
    assert "Boom " * 60 in ended.out
    assert "coinfleet replay --id 1 --why '…'" in ended.out


@pytest.mark.long_but_first
@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("database-url",)])
async def test_a_reader_that_closes_the_output_is_no_failure(
    database: Database, words: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = await asyncio.to_thread(
            coinfleet, *words, stdout=writer, DATABASE_URL=database.url()
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")
