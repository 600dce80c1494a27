"""The limits themselves, without a server: which connection is closed, and how many fit."""

from __future__ import annotations

from typing import Any

import pytest

from workers.serving.descriptors import plan_connections
from workers.serving.limits import ConnectionLimits


class Stub:
    """A connection as the limits see it."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.causes: list[str] = []

    def close_for_others(self, cause: str) -> None:
        self.causes.append(cause)


def limits(**changes: Any) -> ConnectionLimits:
    return ConnectionLimits(note_refused=lambda _: None, **changes)


def test_a_complete_request_is_not_refused_to_free_memory() -> None:
    few = limits(held_bytes_max=10)
    complete, arriving = Stub(), Stub()
    few.opened(complete)
    few.opened(arriving)
    few.hold(complete, 8)
    few.arrived(complete)
    few.hold(arriving, 8)
    assert (complete.causes, arriving.causes) == ([], ["too_many_bytes"])
    assert few.held_bytes == 8


def test_the_slowest_connection_is_closed_for_a_new_one() -> None:
    now = iter(range(100))
    few = limits(connections_max=3, clock=lambda: next(now))
    idle, half, fresh = Stub(), Stub(), Stub()
    for one in (half, idle, fresh):
        few.opened(one)
    few.begun(half)
    few.begun(half)
    newcomers = [Stub() for _ in range(3)]
    few.opened(newcomers[0])
    assert [one.causes for one in (idle, half, fresh)] == [["crowded"], [], []]
    few.opened(newcomers[1])
    assert [one.causes for one in (idle, half, fresh)] == [["crowded"], [], ["crowded"]]
    few.opened(newcomers[2])
    assert half.causes == ["crowded"]
    assert not any(one.causes for one in newcomers)


def test_if_all_others_have_a_request_the_newest_without_one_is_closed() -> None:
    few = limits(connections_max=1)
    everybody = [Stub() for _ in range(80)]
    for number, one in enumerate(everybody):
        few.opened(one)
        if number < 65:
            few.begun(one)
            few.arrived(one)
    assert few.connections == 65
    assert [one for one in everybody if one.causes] == everybody[65:]


def test_each_cause_is_counted_and_logged_once_per_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    counted: list[str] = []
    logged: list[tuple[float, str, int]] = []

    def warning(_event: str, *, cause: str, since_last_logged: int, **_: object) -> None:
        logged.append((now, cause, since_last_logged))

    monkeypatch.setattr("workers.serving.limits.log.warning", warning)
    noted = ConnectionLimits(note_refused=counted.append, clock=lambda: now)
    for second in range(125):
        now = float(second)
        noted.note_refused("unreadable")
        if second == 3:
            noted.note_refused("crowded")
    assert len(counted) == 126
    assert logged == [
        (0, "unreadable", 1),
        (3, "crowded", 1),
        (60, "unreadable", 60),
        (120, "unreadable", 60),
    ]


@pytest.mark.parametrize(
    ("hard", "raised", "planned"),
    [
        (1024, 1024, (640, 256)),
        (4096, 4096, (2000, 256)),
        (256, 256, (64, 64)),
        (64, 64, (8, 16)),
        (-1, 65_536, (2000, 256)),
        (1_048_576, 1_048_576, (2000, 256)),
    ],
)
def test_as_many_connections_are_accepted_as_there_are_descriptors_for(
    monkeypatch: pytest.MonkeyPatch, hard: int, raised: int, planned: tuple[int, int]
) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, hard))
    monkeypatch.setattr("resource.setrlimit", lambda _, both: made.append(both))
    assert plan_connections() == planned
    assert made == [(raised, hard)]
