"""An outage is told once, however many kinds of work find it out, and in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from structlog.testing import capture_logs

from workers.outage import BATCHES, REASONS_MAX, Outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict

    from workers.outage import Work


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    """What was logged so far."""
    with capture_logs() as logs:
        yield logs


def events(logs: list[EventDict]) -> list[str]:
    """The names of what was logged."""
    return [line["event"] for line in logs]


def test_an_outage_lasts_while_one_kind_of_work_is_stopped_and_others_go_on(
    logs: list[EventDict],
) -> None:
    outage = Outage()
    for _ in range(5):
        outage.note_failure("batches", "a lock", batches=3)
        outage.note_success("reports", batches=3)
        outage.note_success("looks", batches=3)
    assert events(logs) == ["store_away"]
    assert logs[0]["reason"] == "a lock"
    outage.note_success("batches", batches=3)
    assert events(logs) == ["store_away", "store_back"]


def test_an_outage_is_over_with_the_last_kind_of_work_that_it_stopped(
    logs: list[EventDict],
) -> None:
    outage = Outage()
    works: list[Work] = ["looks", "jobs", "reports"]
    for work in works:
        outage.note_failure(work, "away", batches=0)
    for work in reversed(works):
        assert events(logs) == ["store_away"]
        outage.note_success(work, batches=0)
    assert events(logs) == ["store_away", "store_back"]


def test_an_outage_is_over_once_batches_are_applied_though_more_are_left(
    logs: list[EventDict],
) -> None:
    outage = Outage()
    outage.note_failure("batches", "away", batches=3)
    outage.note_success("looks", batches=3)
    assert events(logs) == ["store_away"]
    outage.note_success("looks", batches=4)
    assert events(logs) == ["store_away", "store_back"]


def test_an_outage_is_not_over_because_the_other_drain_found_nothing_to_do(
    logs: list[EventDict],
) -> None:
    """The one that fails holds the events meanwhile; next time it is the other way round."""
    outage = Outage()
    for failing, idle in (BATCHES, BATCHES[::-1]) * 3:
        outage.note_failure(failing, "no such function", batches=3)
        outage.note_success(idle, batches=3)
        outage.note_success("looks", batches=3)
    assert events(logs) == ["store_away"]
    for work in BATCHES:
        outage.note_success(work, batches=3)
    assert events(logs) == ["store_away", "store_back"]


def test_a_defect_that_both_drains_meet_is_told_once(logs: list[EventDict]) -> None:
    outage = Outage()
    for work in BATCHES * 2:
        outage.note_defect(work, asyncpg.InsufficientPrivilegeError("claim_events"))
    for work in BATCHES * 2:
        outage.note_success(work, batches=3)
    assert events(logs) == ["look_failed", "look_works_again"]


def test_an_outage_that_was_told_before_is_not_told_again(logs: list[EventDict]) -> None:
    outage = Outage()
    outage.begin("looks")
    outage.note_failure("reports", "away", batches=0)
    assert not logs


def test_each_outage_is_told(logs: list[EventDict]) -> None:
    outage = Outage()
    for _ in range(2):
        outage.note_failure("looks", "away", batches=0)
        outage.note_success("looks", batches=0)
    assert events(logs) == ["store_away", "store_back"] * 2


def test_work_that_nothing_stops_says_nothing(logs: list[EventDict]) -> None:
    Outage().note_success("looks", batches=1)
    assert not logs


def test_a_defect_is_told_once_for_each_reason_while_it_lasts(logs: list[EventDict]) -> None:
    outage = Outage()
    for function in ("claim_events", "apply_events") * 3:
        outage.note_defect("batches", asyncpg.InsufficientPrivilegeError(function))
    assert events(logs) == ["look_failed"] * 2
    assert [line["reason"] for line in logs] == ["42501: claim_events", "42501: apply_events"]
    outage.note_success("looks", batches=0)
    outage.note_success("batches", batches=0)
    outage.note_defect("batches", asyncpg.InsufficientPrivilegeError("claim_events"))
    assert events(logs)[2:] == ["look_works_again", "look_failed"]


def test_defects_of_ever_other_texts_do_not_fill_the_log(logs: list[EventDict]) -> None:
    outage = Outage()
    for number in range(100):
        outage.note_defect("jobs", RuntimeError(f"row {number}"))
    assert len(logs) == REASONS_MAX
