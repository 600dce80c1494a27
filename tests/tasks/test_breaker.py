"""The breaker: an outage is said once, and one call at a time finds out when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.breaker import OPEN_AFTER, PAUSE_MAX_S, Breaker
from tasks.providers.app.provider import App
from tasks.providers.apple.provider import Apple
from tasks.providers.calls import (
    CallFailed,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.google.provider import Google
from tasks.providers.stripe.provider import Stripe

if TYPE_CHECKING:
    from tasks.providers.provider import Provider

AT_ONCE = 4
DOWN = ProviderUnreachable("ConnectError")


class Log:
    """What was said of the provider."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._is_out = False

    def begin(self, work: str, *, reason: str, event: str | None = None) -> None:
        if not self._is_out:
            self.said.append(f"{event or 'unreachable'}: {reason}")
        self._is_out = True

    def end(self, *works: str) -> None:
        if self._is_out:
            self.said.append("back")
        self._is_out = False


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(log: Log, clock: Clock) -> Breaker:
    return Breaker(log, clock=clock)


def open_it(breaker: Breaker) -> None:
    for _ in range(OPEN_AFTER):
        breaker.note_failure(DOWN)


def test_a_failure_now_and_then_is_no_outage(breaker: Breaker, log: Log) -> None:
    for _ in range(5):
        breaker.note_failure(DOWN)
        breaker.note_failure(DOWN)
        breaker.note_answer()
    assert breaker.calls_allowed(AT_ONCE) == AT_ONCE
    assert log.said == []


def test_an_outage_stops_all_calls_and_is_said_once(breaker: Breaker, log: Log) -> None:
    open_it(breaker)
    assert breaker.calls_allowed(AT_ONCE) == 0
    breaker.note_failure(DOWN)
    assert log.said == ["unreachable: ConnectError"]


def test_one_call_finds_out_whether_it_is_over(breaker: Breaker, clock: Clock, log: Log) -> None:
    open_it(breaker)
    clock.now += 1
    assert breaker.calls_allowed(AT_ONCE) == 1
    breaker.note_failure(DOWN)
    assert breaker.calls_allowed(AT_ONCE) == 0
    clock.now += 2
    assert breaker.calls_allowed(AT_ONCE) == 1
    breaker.note_answer()
    assert breaker.calls_allowed(AT_ONCE) == AT_ONCE
    assert log.said == ["unreachable: ConnectError", "back"]


def test_the_end_of_a_long_outage_is_noticed_within_a_minute(
    breaker: Breaker, clock: Clock
) -> None:
    for _ in range(1_000):
        breaker.note_failure(DOWN)
    clock.now += PAUSE_MAX_S
    assert breaker.calls_allowed(AT_ONCE) == 1


@pytest.mark.parametrize(("asked_s", "rests_s"), [(30.0, 30.0), (None, 1.0), (3_600.0, 3_600.0)])
def test_a_provider_that_throttles_rests_for_as_long_as_it_asks(
    breaker: Breaker, clock: Clock, log: Log, asked_s: float | None, rests_s: float
) -> None:
    breaker.note_failure(ProviderThrottled("429", retry_after_s=asked_s))
    clock.now += rests_s - 0.1
    assert breaker.calls_allowed(AT_ONCE) == 0
    clock.now += 0.1
    assert breaker.calls_allowed(AT_ONCE) == AT_ONCE
    assert log.said == []


@pytest.mark.parametrize(
    ("provider", "rests_s"), [(App, 60.0), (Stripe, 60.0), (Apple, 3_600.0), (Google, 3_600.0)]
)
def test_one_answer_that_asks_for_more_than_a_provider_would_stops_no_call_for_longer(
    log: Log, clock: Clock, provider: type[Provider], rests_s: float
) -> None:
    breaker = Breaker(log, throttled_max_s=provider.rests_at_most_s, clock=clock)
    breaker.note_failure(ProviderThrottled("503", retry_after_s=float("inf")))
    clock.now += rests_s - 0.1
    assert breaker.calls_allowed(AT_ONCE) == 0
    clock.now += 0.1
    # One finds out whether it is over.
    assert breaker.calls_allowed(AT_ONCE) == 1
    breaker.note_answer()
    assert breaker.calls_allowed(AT_ONCE) == AT_ONCE


def test_a_refused_key_stops_all_calls_at_once_and_has_its_own_name_in_the_log(
    breaker: Breaker, clock: Clock, log: Log
) -> None:
    breaker.note_failure(KeyRefused("401 unknown"))
    assert breaker.calls_allowed(AT_ONCE) == 0
    clock.now += PAUSE_MAX_S
    assert breaker.calls_allowed(AT_ONCE) == 1
    breaker.note_answer()
    assert log.said == ["provider_refuses_key: 401 unknown", "back"]


def test_a_call_that_fails_while_the_provider_works_stops_no_other(
    breaker: Breaker, log: Log
) -> None:
    for _ in range(10):
        breaker.note_failure(CallFailed("409 conflict"))
    assert breaker.calls_allowed(AT_ONCE) == AT_ONCE
    assert log.said == []
