"""How numbers and times are written for a person."""

from __future__ import annotations

import pytest

from workers.cli.words import ago, counted, duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (86_400, "1 d"), (-3, "0 s")],
)
def test_a_duration_is_one_number_and_one_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "59 s ago"),
        (0, "0 s ago"),
        (-0.4, "0 s ago"),
        (-3, "3 s ahead of the clock"),
        (-1_200, "20 min ahead of the clock"),
    ],
)
def test_a_time_in_the_future_is_written_as_ahead_of_the_clock(seconds: float, said: str) -> None:
    assert ago(seconds) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 rows"), (1, "1 row"), (2_000, "2,000 rows")])
def test_one_thing_is_written_without_a_plural(number: int, said: str) -> None:
    assert counted(number, "row") == said
