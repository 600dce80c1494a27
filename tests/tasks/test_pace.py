"""How large the next batch is after failures and successes."""

from __future__ import annotations

from db.inbox.batches import EventId
from tasks.pace import Pace

SIZE = 500
MANY = [EventId(number) for number in range(SIZE)]


def failing(pace: Pace, times: int) -> list[int]:
    """Return the sizes of batches that fail one after the other."""
    sizes = []
    for _ in range(times):
        size = pace.limit or SIZE
        sizes.append(size)
        pace.note_failure(batches=0)
        if not pace.has_tries_left(MANY[:size]):
            pace.halve(size)
    return sizes


def test_three_failures_in_full_size_then_each_halves_down_to_one() -> None:
    assert failing(Pace(), 13) == [500, 500, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1]


def test_each_success_doubles_until_batches_have_their_full_size() -> None:
    pace = Pace()
    failing(pace, 4)
    sizes = []
    for _ in range(4):
        sizes.append(pace.limit)
        pace.note_success(batch_size=SIZE)
    assert sizes == [125, 250, None, None]
    assert failing(pace, 4) == [500, 500, 500, 250]


def test_a_failure_before_the_full_size_is_back_halves_again() -> None:
    pace = Pace()
    failing(pace, 4)
    pace.note_success(batch_size=SIZE)
    assert failing(pace, 3) == [250, 125, 62]


def test_an_event_that_fails_while_others_succeed_is_remembered() -> None:
    pace = Pace()
    pace.note_failure(batches=7)
    assert not pace.set_aside(EventId(1), batches=7)
    assert pace.limit == 1
    assert pace.set_aside(EventId(1), batches=8)
    assert pace.limit is None
    assert not pace.has_tries_left([EventId(1)])


def test_pauses_grow_to_a_limit_until_a_batch_succeeds() -> None:
    pace = Pace()
    pauses = []
    for _ in range(20):
        pace.note_failure(batches=0)
        pauses.append(pace.pause_s)
    assert 0 < pauses[0] <= 0.1
    assert max(pauses) <= 2
    pace.note_success(batch_size=SIZE)
    pace.note_failure(batches=0)
    assert pace.pause_s <= 0.1


def test_an_alarm_is_not_repeated_before_its_interval() -> None:
    pace = Pace()
    assert [pace.is_alarm_due(EventId(1), 300) for _ in range(3)] == [True, False, False]
    assert pace.is_alarm_due(EventId(2), 300)
