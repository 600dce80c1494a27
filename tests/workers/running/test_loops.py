"""Loops of a worker: each goes on by itself, whatever becomes of its work or of the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest_asyncio

from workers.running import loops as loops_module
from workers.running.loops import Loop, Loops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    import pytest


class Attempts:
    """Attempts that log nothing and remember what they were made at."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def make(self, doing: Awaitable[object], work: str) -> bool:
        """Await it; a failure is an answer."""
        self.made.append(work)
        try:
            await doing
        except ZeroDivisionError:
            return False
        return True


@pytest_asyncio.fixture
async def attempts() -> Attempts:
    return Attempts()


@pytest_asyncio.fixture
async def loops(attempts: Attempts) -> AsyncIterator[Loops]:
    """Loops that end with the test."""
    loops = Loops(attempts)  # type: ignore[arg-type]
    yield loops
    await loops.cancel()


async def succeed() -> None:
    """Do nothing."""


async def fail() -> None:
    raise ZeroDivisionError


def pauses_of(monkeypatch: pytest.MonkeyPatch, *, stop_after: int) -> list[float]:
    """The pauses that a loop makes, each over at once; the last never ends."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == stop_after:
            await asyncio.Event().wait()
        await sleep(0)

    monkeypatch.setattr(loops_module.asyncio, "sleep", pause)
    return pauses


async def settle() -> None:
    """Let every task run as far as it can."""
    ready = asyncio.get_running_loop()
    for _ in range(50):
        turn = ready.create_future()
        ready.call_soon(turn.set_result, None)
        await turn


async def test_each_loop_goes_on_beside_the_others(
    loops: Loops, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = pauses_of(monkeypatch, stop_after=6)
    loops.start(
        Loop(name=name, do=do, every_s=1, pause_max_s=1)
        for name, do in (("looks", succeed), ("reports", fail), ("provider calls", succeed))
    )
    await settle()
    assert attempts.made[:6] == ["looks", "reports", "provider calls"] * 2
    assert set(pauses) == {1}


async def test_pauses_double_while_a_loop_fails_and_are_short_again_after_a_success(
    loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = pauses_of(monkeypatch, stop_after=6)
    works = iter([succeed, fail, fail, fail, fail, succeed])

    async def work() -> None:
        await next(works)()

    loops.start([Loop(name="looks", do=work, every_s=1, pause_max_s=5)])
    await settle()
    assert pauses == [1, 2, 4, 5, 5, 1]


async def test_a_first_event_ends_the_pause_and_later_ones_do_not(
    loops: Loops, attempts: Attempts
) -> None:
    first = asyncio.Event()
    loops.start([Loop(name="reports", do=succeed, every_s=3_600, pause_max_s=3_600, first=first)])
    await settle()
    assert len(attempts.made) == 1
    first.set()
    await settle()
    assert len(attempts.made) == 2
    first.set()
    await settle()
    assert len(attempts.made) == 2
