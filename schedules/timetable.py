"""TIMETABLE: which task runs how often, and why. No logic: PostgreSQL decides each run."""

from __future__ import annotations

from dataclasses import dataclass

from tasks import (
    PROVE_EVERYTHING,
    PROVE_NEW_ENTRIES,
    REFRESH_LEADERBOARD,
    REMOVE_STALE_VIEWERS,
    TIDY_UP,
    UPDATE_PUBLISH_STATE,
)
from tasks.task import Task

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task's cadence. Ticks are counted from the epoch in UTC, `offset_s` late."""

    name: str
    every_s: int
    task: Task
    why: str
    offset_s: int = 0


TIMETABLE: tuple[Schedule, ...] = (
    Schedule(
        "publish_state",
        10,
        UPDATE_PUBLISH_STATE,
        "a stream is published while somebody watches, and 10 s past a minute's silence at most",
    ),
    Schedule(
        "stale_viewers",
        30,
        REMOVE_STALE_VIEWERS,
        "silent viewers don't count anyway; removing them keeps the table as small as the audience",
    ),
    Schedule(
        "leaderboard",
        60,
        REFRESH_LEADERBOARD,
        "boards and recent coins are a minute old at most, at the cost of what is new",
    ),
    Schedule(
        "new_entries_proof",
        60,
        PROVE_NEW_ENTRIES,
        "a wrong balance is known within a minute, at the cost of what is new",
    ),
    Schedule(
        "full_proof",
        DAY_S,
        PROVE_EVERYTHING,
        "every invariant over all of history, at 03:00 UTC when few watch",
        offset_s=3 * HOUR_S,
    ),
    Schedule(
        "housekeeping",
        60,
        TIDY_UP,
        "events that waited long enough are decided, and nothing grows without need",
    ),
)
