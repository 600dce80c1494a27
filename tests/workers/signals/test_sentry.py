"""Errors reach Sentry, in its own format, and nothing that could hold data does.

A local server stands in for Sentry: it takes envelopes as Sentry does, and keeps them.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import sentry_sdk
import structlog

from tests.workers.processes import running
from workers.logs import configure_logging
from workers.processes import WORKER
from workers.settings import Settings, SettingsFault
from workers.signals import start_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "4242-is-a-card"


class Sentry(ThreadingHTTPServer):
    """Takes envelopes, and keeps their bytes."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Envelopes)

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server_port}/7"

    def events(self) -> list[dict[str, Any]]:
        """The events in all envelopes: a line about the envelope, one about the item, the item."""
        items = [envelope.split(b"\n", 2)[2] for envelope in self.envelopes]
        return [json.loads(item) for item in items]


class Envelopes(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        assert self.path == "/api/7/envelope/"
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.envelopes.append(body)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def started(sentry: Sentry) -> Iterator[Sentry]:
    """A process whose errors go there."""
    root = logging.getLogger()
    before = root.handlers[:]
    configure_logging("json")
    hook, run = sys.excepthook, threading.Thread.run
    start_signals(Settings(sentry_dsn=sentry.dsn, sentry_environment="staging"), WORKER)
    yield sentry
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    sys.excepthook, threading.Thread.run = hook, run  # type: ignore[method-assign]
    root.handlers[:] = before
    structlog.reset_defaults()


def sent(sentry: Sentry) -> dict[str, Any]:
    """The one event that was sent; nothing in its bytes may be secret."""
    sentry_sdk.flush(5)
    (event,) = sentry.events()
    assert SECRET.encode() not in b"".join(sentry.envelopes)
    return event


def fail_with_secrets() -> None:
    card = SECRET
    raise ValueError(f"can't charge {card}")


def test_an_error_in_the_log_is_sent_with_its_stack_and_without_its_message(
    started: Sentry,
) -> None:
    try:
        fail_with_secrets()
    except ValueError as error:
        structlog.get_logger().error("job_failed", job="leaderboard", attempt=2, exc_info=error)
    event = sent(started)
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ValueError", "")
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail_with_secrets"
    assert event["logentry"]["message"] == "job_failed"
    assert event["environment"] == "staging"
    assert event["tags"] == {
        "process": "worker",
        "log_event": "job_failed",
        "job": "leaderboard",
        "attempt": "2",
    }


def test_only_numbers_and_our_own_names_of_an_entry_are_sent(started: Sentry) -> None:
    structlog.get_logger().error(
        "event_failed", event_id=42, reason=SECRET, payload={"card": SECRET}, sqlstate="22P02"
    )
    assert sent(started)["tags"] == {
        "process": "worker",
        "log_event": "event_failed",
        "event_id": "42",
        "sqlstate": "22P02",
    }


def test_an_error_of_the_database_is_told_by_its_sqlstate(started: Sentry) -> None:
    error = asyncpg.UniqueViolationError(f"key {SECRET}")
    structlog.get_logger().error("work_failed", work="looks", exc_info=error)
    event = sent(started)
    assert event["tags"]["sqlstate"] == "23505"
    assert event["exception"]["values"][0]["type"] == "UniqueViolationError"


def test_an_error_that_was_raised_from_another_tells_both_and_neither_message(
    started: Sentry,
) -> None:
    try:
        try:
            fail_with_secrets()
        except ValueError as cause:
            raise RuntimeError(SECRET) from cause
    except RuntimeError:
        structlog.get_logger().exception("it_failed")
    types = [each["type"] for each in sent(started)["exception"]["values"]]
    assert types == ["ValueError", "RuntimeError"]


def test_an_entry_of_a_library_is_sent_without_its_values(started: Sentry) -> None:
    logging.getLogger("some.library").error("lost %s", SECRET)
    event = sent(started)
    assert (event["logentry"]["message"], event["logger"]) == ("lost %s", "some.library")


def test_what_ends_a_thread_is_sent_without_its_message(started: Sentry) -> None:
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        thread = threading.Thread(target=fail_with_secrets)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = hook
    assert sent(started)["exception"]["values"][0]["value"] == ""


def test_a_warning_is_not_sent(started: Sentry) -> None:
    structlog.get_logger().warning("handled")
    sentry_sdk.flush(5)
    assert started.envelopes == []


async def test_a_process_that_can_not_start_says_so_before_it_ends(
    sentry: Sentry, tmp_path: Path
) -> None:
    # The port of a server that is no database: the process ends with its cause.
    settings = {
        "DATABASE_URL": "postgresql://x:y@no-such-host.invalid/x",
        "SENTRY_DSN": sentry.dsn,
        "LOG_FORMAT": "json",
    }
    async with running(tmp_path / "log", "workers.release", **settings) as process:
        assert await process.ended() == 1
    (event,) = sentry.events()
    assert event["tags"] == {
        "process": "release",
        "log_event": "release_failed",
        "kind": "DatabaseRefused",
    }


def test_without_the_setting_its_package_is_not_even_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    monkeypatch.delitem(sys.modules, "workers.signals.sentry", raising=False)
    start_signals(Settings(), WORKER)


def test_without_its_package_the_process_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    monkeypatch.delitem(sys.modules, "workers.signals.sentry", raising=False)
    with pytest.raises(SettingsFault, match=r"SENTRY_DSN needs .* pip install '\.\[sentry\]'"):
        start_signals(Settings(sentry_dsn="http://key@127.0.0.1:1/7"), WORKER)


@pytest.mark.parametrize(
    "dsn",
    ["sentry.io/7", "https://sentry.io/7", "https://key@sentry.io/x", "http://key@sentry.io/7"],
)
def test_what_is_no_address_of_sentry_is_refused_without_quoting_it(dsn: str) -> None:
    with pytest.raises(ValueError, match="sentry_dsn") as refused:
        Settings(sentry_dsn=dsn)
    assert dsn not in str(refused.value)
