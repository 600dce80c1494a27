"""What stops a worker's work is logged once, whichever kinds of work it stops, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from workers.outage import Outage
from workers.running.interruptions import BATCHES, REASONS_MAX, Interruptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    """What was logged so far."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def work() -> Interruptions:
    """A worker's work, which nothing has stopped yet."""
    return Interruptions(Outage("database", then="it is tried again"))


def events(logs: list[EventDict]) -> list[str]:
    """The names of what was logged."""
    return [line["event"] for line in logs]


def test_an_outage_lasts_while_one_kind_of_work_is_stopped_and_others_go_on(
    logs: list[EventDict],
    work: Interruptions,
) -> None:
    for _ in range(5):
        work.note_outage("batches", DatabaseUnavailable("a lock"), batches=3)
        work.note_success("reports", batches=3)
        work.note_success("looks", batches=3)
    assert events(logs) == ["database_unreachable"]
    assert logs[0]["reason"] == "a lock"
    work.note_success("batches", batches=3)
    assert events(logs) == ["database_unreachable", "database_back"]


def test_an_outage_is_over_with_the_last_kind_of_work_that_it_stopped(
    logs: list[EventDict],
    work: Interruptions,
) -> None:
    kinds = ["looks", "jobs", "reports"]
    for kind in kinds:
        work.note_outage(kind, DatabaseUnavailable("unreachable"), batches=0)
    for kind in reversed(kinds):
        assert events(logs) == ["database_unreachable"]
        work.note_success(kind, batches=0)
    assert events(logs) == ["database_unreachable", "database_back"]


def test_an_outage_is_over_once_batches_are_applied_though_more_are_left(
    logs: list[EventDict],
    work: Interruptions,
) -> None:
    work.note_outage("batches", DatabaseUnavailable("unreachable"), batches=3)
    work.note_success("looks", batches=3)
    assert events(logs) == ["database_unreachable"]
    work.note_success("looks", batches=4)
    assert events(logs) == ["database_unreachable", "database_back"]


def test_an_outage_is_not_over_because_the_other_slot_found_nothing_to_do(
    logs: list[EventDict],
    work: Interruptions,
) -> None:
    """The slot that fails has the events locked; next time it is the other way round."""
    for failing, idle in (BATCHES, BATCHES[::-1]) * 3:
        work.note_outage(failing, DatabaseUnavailable("no such function"), batches=3)
        work.note_success(idle, batches=3)
        work.note_success("looks", batches=3)
    assert events(logs) == ["database_unreachable"]
    for kind in BATCHES:
        work.note_success(kind, batches=3)
    assert events(logs) == ["database_unreachable", "database_back"]


def test_a_defect_that_both_slots_meet_is_logged_once(
    logs: list[EventDict], work: Interruptions
) -> None:
    for kind in BATCHES * 2:
        work.note_defect(kind, asyncpg.InsufficientPrivilegeError("claim_events"))
    for kind in BATCHES * 2:
        work.note_success(kind, batches=3)
    assert events(logs) == ["work_failed", "work_back"]


def test_an_outage_that_was_logged_at_the_start_is_over_with_the_first_look(
    logs: list[EventDict],
) -> None:
    outage = Outage("database", then="it is tried again")
    work = Interruptions(outage)
    outage.begin("looks", reason="unreachable")
    work.note_outage("reports", DatabaseUnavailable("unreachable"), batches=0)
    work.note_success("reports", batches=0)
    assert events(logs) == ["database_unreachable"]
    work.note_success("looks", batches=0)
    assert events(logs) == ["database_unreachable", "database_back"]


def test_each_outage_is_logged(logs: list[EventDict], work: Interruptions) -> None:
    for _ in range(2):
        work.note_outage("looks", DatabaseUnavailable("unreachable"), batches=0)
        work.note_success("looks", batches=0)
    assert events(logs) == ["database_unreachable", "database_back"] * 2


def test_work_that_nothing_stops_logs_nothing(logs: list[EventDict], work: Interruptions) -> None:
    work.note_success("looks", batches=1)
    assert not logs


def test_a_defect_is_logged_once_per_reason_while_it_lasts(
    logs: list[EventDict], work: Interruptions
) -> None:
    for function in ("claim_events", "apply_events") * 3:
        work.note_defect("batches", asyncpg.InsufficientPrivilegeError(function))
    assert events(logs) == ["work_failed"] * 2
    assert [line["reason"] for line in logs] == ["42501: claim_events", "42501: apply_events"]
    work.note_success("looks", batches=0)
    work.note_success("batches", batches=0)
    work.note_defect("batches", asyncpg.InsufficientPrivilegeError("claim_events"))
    assert events(logs)[2:] == ["work_back", "work_failed"]


def test_defects_whose_text_differs_each_time_do_not_fill_the_log(
    logs: list[EventDict], work: Interruptions
) -> None:
    for number in range(100):
        work.note_defect("jobs", RuntimeError(f"row {number}"))
    assert len(logs) == REASONS_MAX
