"""TIMETABLE: which task runs how often, and why.

Has no logic: PostgreSQL decides which run is due.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks import (
    FIND_MISSED_EVENTS,
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
    """A task that runs every `every_s` seconds, counted from the start of 1970 (UTC) + `offset_s`.

    `name` is the job's name in the database, in metrics and in `coinfleet status`.
    """

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
        "a stream is published within 10 s of its first viewer, and unpublished after its last",
    ),
    Schedule(
        "stale_viewers",
        30,
        REMOVE_STALE_VIEWERS,
        "silent viewers do not count; without their rows the table is as small as the audience",
    ),
    Schedule(
        "leaderboard",
        60,
        REFRESH_LEADERBOARD,
        "boards and recent coins are at most a minute old; a run costs only as much as is new",
    ),
    Schedule(
        "new_entries_proof",
        60,
        PROVE_NEW_ENTRIES,
        "a wrong balance is known within a minute; a run costs only as much as is new",
    ),
    Schedule(
        "full_proof",
        DAY_S,
        PROVE_EVERYTHING,
        "every invariant over all of history, at 03:00 UTC, when few people watch",
        offset_s=3 * HOUR_S,
    ),
    Schedule(
        "housekeeping",
        60,
        TIDY_UP,
        "events that have waited long enough are decided, and old data are deleted",
    ),
    Schedule(
        "missed_events",
        600,
        FIND_MISSED_EVENTS,
        "an event whose webhook is lost is found in the provider's history, long before that ends",
    ),
)
