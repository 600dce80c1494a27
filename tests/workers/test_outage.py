"""An outage is logged once when it begins and once when it is over, whoever finds it out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from workers.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    """What was logged so far."""
    with capture_logs() as logs:
        yield logs


def events(logs: list[EventDict]) -> list[str]:
    """The names of what was logged."""
    return [line["event"] for line in logs]


def test_an_outage_tells_its_reason_and_what_happens_meanwhile(logs: list[EventDict]) -> None:
    outage = Outage("queue", then="workers look each second", server="h:6379")
    outage.begin("ringing", reason="Connection refused")
    outage.end("ringing")
    assert logs == [
        {
            "event": "queue_unreachable",
            "log_level": "warning",
            "server": "h:6379",
            "reason": "Connection refused",
            "then": "workers look each second",
        },
        {"event": "queue_back", "log_level": "info", "server": "h:6379"},
    ]


def test_several_kinds_of_work_find_out_one_outage(logs: list[EventDict]) -> None:
    outage = Outage("database", then="senders get 503")
    for work in ("storing", "probing", "storing"):
        outage.begin(work, reason="no answer in time")
    outage.end("probing")
    assert events(logs) == ["database_unreachable"]
    assert outage.stops("storing")
    assert not outage.stops("probing")
    outage.end("storing")
    assert events(logs) == ["database_unreachable", "database_back"]


def test_work_that_goes_on_all_the_while_ends_no_outage_of_others(logs: list[EventDict]) -> None:
    outage = Outage("database", then="senders get 503")
    outage.begin("storing", reason="a lock")
    for _ in range(3):
        outage.end("probing")
    assert events(logs) == ["database_unreachable"]


def test_a_thing_that_answers_and_refuses_has_a_name_of_its_own_in_the_log(
    logs: list[EventDict],
) -> None:
    outage = Outage("queue", then="workers look each second")
    for _ in range(2):
        outage.begin("reading", reason="no answer in time")
        outage.begin("writing", reason="OOM", event="queue_refuses")
    outage.end()
    assert events(logs) == ["queue_unreachable", "queue_refuses", "queue_back"]


def test_an_outage_that_comes_again_soon_is_over_once_nothing_failed_for_a_while(
    logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("workers.outage.time", SimpleNamespace(monotonic=lambda: now[0]))
    outage = Outage("queue", then="workers look each second", calm_s=10, same_within_s=60)
    for _ in range(3):
        outage.begin("reading", reason="reset")
        outage.end()
    assert events(logs) == ["queue_unreachable", "queue_back", "queue_unreachable"]
    now[0] += 10
    outage.end()
    assert events(logs)[3:] == ["queue_back"]
    now[0] += 60
    outage.begin("reading", reason="reset")
    outage.end()
    assert events(logs)[4:] == ["queue_unreachable", "queue_back"]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the module under test reads it."""
    now = [1_000.0]
    monkeypatch.setattr("workers.outage.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def reasons(logs: list[EventDict]) -> list[str]:
    """The reasons that were logged so far."""
    return [line["reason"] for line in logs if "reason" in line]


def test_an_outage_with_another_reason_by_now_is_logged_again(
    logs: list[EventDict], now: list[float]
) -> None:
    """As of sessions that are ended while their role gets another password."""
    outage = Outage("database", then="work waits")
    outage.begin("batches", reason="the sessions were ended")
    for _ in range(20):
        now[0] += 1
        outage.begin("batches", reason="wrong password")
        outage.begin("reports", reason="wrong password")
    assert reasons(logs) == ["the sessions were ended", "wrong password"]
    assert events(logs) == ["database_unreachable"] * 2
    outage.end()
    outage.begin("batches", reason="wrong password")
    assert reasons(logs)[2:] == ["wrong password"]


def test_a_reason_that_passes_at_once_is_not_logged_again(
    logs: list[EventDict], now: list[float]
) -> None:
    """As of a server that is restarted."""
    outage = Outage("database", then="work waits")
    for reason in ("the sessions were ended", "connection refused", "it starts up"):
        outage.begin("batches", reason=reason)
        now[0] += 1
    outage.end()
    assert reasons(logs) == ["the sessions were ended"]


def test_reasons_that_take_turns_are_logged_once_a_minute_at_most(
    logs: list[EventDict], now: list[float]
) -> None:
    outage = Outage("queue", then="workers look each second")
    for turn in range(3_600):
        outage.begin("reading", reason=("no answer", "reset", "refused")[turn % 3])
        now[0] += 1
    assert 30 <= len(logs) <= 61


def test_two_kinds_of_work_with_two_reasons_log_each_once(
    logs: list[EventDict], now: list[float]
) -> None:
    outage = Outage("database", then="work waits")
    for _ in range(3_600):
        outage.begin("batches", reason="a lock")
        outage.begin("reports", reason="no answer")
        now[0] += 1
    assert reasons(logs) == ["a lock", "no answer"]
