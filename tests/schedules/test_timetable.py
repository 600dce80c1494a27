"""The timetable: what runs how often."""

from __future__ import annotations

import pytest

from schedules.timetable import DAY_S, TIMETABLE
from tasks import TASKS

SCHEDULES = {schedule.name: schedule for schedule in TIMETABLE}


def test_each_schedule_has_its_own_name() -> None:
    assert len(SCHEDULES) == len(TIMETABLE)


def test_each_schedule_runs_a_task_of_the_table() -> None:
    assert all(schedule.task in TASKS for schedule in TIMETABLE)


@pytest.mark.requirement("D3")
def test_publish_state_is_recomputed_every_10_to_15_seconds() -> None:
    assert 10 <= SCHEDULES["publish_state"].every_s <= 15


@pytest.mark.requirement("D4")
def test_stale_viewers_are_swept_every_30_to_60_seconds() -> None:
    assert 30 <= SCHEDULES["stale_viewers"].every_s <= 60


@pytest.mark.requirement("D6")
def test_leaderboards_are_refreshed_each_minute() -> None:
    assert SCHEDULES["leaderboard"].every_s == 60


def test_new_entries_are_proved_each_minute_and_everything_at_three_at_night() -> None:
    assert SCHEDULES["new_entries_proof"].every_s == 60
    full_proof = SCHEDULES["full_proof"]
    assert (full_proof.every_s, full_proof.offset_s) == (DAY_S, 3 * 3_600)


def test_each_offset_is_shorter_than_its_cadence() -> None:
    assert all(0 <= schedule.offset_s < schedule.every_s for schedule in TIMETABLE)


def test_missed_events_are_looked_for_every_ten_minutes_outside_any_transaction() -> None:
    schedule = SCHEDULES["missed_events"]
    assert (schedule.every_s, schedule.task.waits_for_others) == (600, True)
