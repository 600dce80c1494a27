"""Logs: one line per entry, for our entries and those of libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest
import structlog

from workers.logs import LogFormat, configure_logging

if TYPE_CHECKING:
    from db.connections.pool import Connection


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a test set up."""
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what was written to standard output, one JSON object per line."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_event_comes_first_and_its_fields_follow(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    structlog.get_logger().info("event_stored", event_id="evt_1")
    (entry,) = entries(capsys)
    assert list(entry)[:3] == ["event", "level", "timestamp"]
    assert entry["event"] == "event_stored"
    assert entry["event_id"] == "evt_1"


def test_an_entry_of_a_library_has_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    logging.getLogger("some.library").warning("lost %s", "it")
    (entry,) = entries(capsys)
    assert (entry["event"], entry["level"]) == ("lost it", "warning")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    try:
        int("of no value")
    except ValueError:
        structlog.get_logger().exception("it_failed")
    (entry,) = entries(capsys)
    assert "ValueError: invalid literal" in str(entry["exception"])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_shows_no_values(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    configure_logging(log_format)
    number = 6 * 7_000_001
    try:
        int("of no value")
    except ValueError:
        structlog.get_logger().exception("it_failed")
    assert str(number) not in capsys.readouterr().out


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_an_error_of_the_database_shows_no_row_and_no_value(
    db: Connection, capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    await db.execute("create temp table kept (address text check (address not like '%@%'))")
    configure_logging(log_format)
    for query in (
        "insert into kept values ('ann@example.com')",
        "select 'ann@example.com'::uuid",
    ):
        try:
            try:
                await db.execute(query)
            except asyncpg.PostgresError as error:
                raise ExceptionGroup("of many", [error, ValueError()]) from error
        except ExceptionGroup:
            structlog.get_logger().exception("it_failed")
    said = capsys.readouterr().out
    assert "ann@" not in said
    for sqlstate in ("23514", "22P02"):
        assert f"{sqlstate}: " in said
    assert "Traceback" in said


def test_entries_of_single_requests_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    logging.getLogger("uvicorn.access").info("GET /healthz")
    assert entries(capsys) == []


def test_logging_that_is_configured_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    configure_logging("json")
    structlog.get_logger().info("once")
    assert len(entries(capsys)) == 1


def console_lines(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    **fields: object,
) -> list[str]:
    """Return the lines of one entry, as a person reads them."""
    monkeypatch.setenv("COLUMNS", str(columns))
    configure_logging("console")
    structlog.get_logger().warning("event_failed", **fields)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [80, 68, 55])
def test_a_line_for_a_person_fits_the_width_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    fields = {
        "event_id": 123_456_789,
        "sqlstate": "53100",
        "error": "could not extend file because there is no space left on this device at all",
        "then": "tried again in 16 s",
        "provider_event_id": "evt_1NG8Du2eZvKYlo2CUI79vX",
        "nothing": "",
    }
    lines = console_lines(capsys, monkeypatch, columns, **fields)
    assert max(map(len, lines)) <= columns
    shown = " ".join(" ".join(lines).split())
    assert "warning event_failed event_id=123456789 sqlstate=53100" in shown
    assert fields["error"] in shown
    assert f"provider_event_id={fields['provider_event_id']}" in shown


def test_a_word_that_is_longer_than_the_width_stays_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = console_lines(capsys, monkeypatch, 40, address="x" * 100)
    assert f"address={'x' * 100}" in " ".join(lines)


def test_a_short_entry_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = console_lines(capsys, monkeypatch, 80, attempt=1)
    assert line.endswith(" warning event_failed attempt=1")
    assert len(line.partition(" ")[0]) == len("12:34:56")


def test_an_exception_stands_under_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("console")
    try:
        int("of no value")
    except ValueError:
        structlog.get_logger().exception("it_failed")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" error it_failed")
    assert lines[1].startswith("Traceback")
