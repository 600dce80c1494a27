"""Thirty submissions a minute per profile, counted in bounded memory."""

from __future__ import annotations

from uuid import UUID

from workers.receiving.allowance import PER_MINUTE, Allowance


class Clock:
    """Time that the test lets pass."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


ANN, BOB = UUID(int=1), UUID(int=2)


def test_thirty_within_any_minute_are_taken_and_the_next_is_told_when() -> None:
    clock = Clock()
    allowance = Allowance(clock=clock)
    for nth in range(PER_MINUTE):
        clock.now_s = float(nth)
        assert allowance.take(ANN) is None
    # The first of them was at 0.
    assert allowance.take(ANN) == 60 - 29
    assert allowance.take(BOB) is None
    clock.now_s = 59.9
    assert allowance.take(ANN) is not None
    clock.now_s = 60.0
    assert allowance.take(ANN) is None
    # A refusal counts as none: now the second one is the oldest.
    assert allowance.take(ANN) == 1.0


def test_profiles_that_are_silent_for_a_minute_are_forgotten() -> None:
    clock = Clock()
    allowance = Allowance(clock=clock)
    for nth in range(100):
        allowance.take(UUID(int=nth))
    clock.now_s = 61.0
    allowance.take(ANN)
    assert list(allowance._times) == [ANN]


def test_however_many_submit_the_memory_is_bounded() -> None:
    allowance = Allowance(profiles_max=10, clock=Clock())
    for nth in range(1_000):
        allowance.take(UUID(int=nth))
        assert allowance.take(ANN) is not None or nth < PER_MINUTE
    assert len(allowance._times) == 10
