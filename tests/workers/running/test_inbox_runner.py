"""The inbox runner: no ring is lost, and only so many looks run at once."""

from __future__ import annotations

import asyncio

from workers.running.inbox_runner import InboxRunner


class Looks:
    """Looks that each wait until the test ends one."""

    def __init__(self, slots: int = 2) -> None:
        self.begun = 0
        self.running = 0
        self.most = 0
        self.turns: asyncio.Semaphore = asyncio.Semaphore(0)
        self.runner = InboxRunner([self.look] * slots)

    async def look(self) -> None:
        """Begin, wait for a turn, end."""
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await self.turns.acquire()
        self.running -= 1

    async def ring(self) -> None:
        """Ring and let what follows from it happen."""
        self.runner.ring()
        await settle()

    async def end_one(self) -> None:
        """End one look."""
        self.turns.release()
        await settle()


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_ring_begins_a_look() -> None:
    looks = Looks()
    await looks.ring()
    assert looks.begun == 1


async def test_no_more_looks_run_than_there_are_slots() -> None:
    looks = Looks(slots=2)
    for _ in range(5):
        await looks.ring()
    assert (looks.begun, looks.most) == (2, 2)


async def test_a_ring_may_ask_for_no_look_beside_those_that_run() -> None:
    looks = Looks(slots=2)
    for _ in range(3):
        looks.runner.ring(at_once=1)
        await settle()
    assert looks.most == 1
    await looks.end_one()
    assert looks.begun == 2


async def test_a_ring_during_the_looks_causes_one_more() -> None:
    looks = Looks(slots=1)
    for _ in range(4):
        await looks.ring()
    await looks.end_one()
    assert looks.begun == 2
    await looks.end_one()
    assert (looks.begun, looks.running) == (2, 0)


async def test_a_ring_after_the_looks_ended_begins_another() -> None:
    looks = Looks(slots=1)
    await looks.ring()
    await looks.end_one()
    await looks.ring()
    assert looks.begun == 2


async def test_a_look_that_raised_gives_its_slot_back() -> None:
    looks = Looks(slots=1)

    async def fail() -> None:
        raise ZeroDivisionError

    failing = InboxRunner([fail])
    failing.ring()
    [task] = failing._running
    await asyncio.wait([task])
    assert isinstance(task.exception(), ZeroDivisionError)
    failing.ring()
    assert len(failing._running) == 1
    await asyncio.wait(failing._running)
    await looks.runner.close(grace_s=0)


async def test_closing_begins_nothing_more_and_lets_looks_end() -> None:
    looks = Looks(slots=1)
    await looks.ring()
    closing = asyncio.create_task(looks.runner.close(grace_s=30))
    await looks.ring()
    await looks.end_one()
    await closing
    assert (looks.begun, looks.running) == (1, 0)


async def test_closing_cancels_what_outlasts_its_grace() -> None:
    looks = Looks(slots=1)
    await looks.ring()
    await looks.runner.close(grace_s=0)
    assert not looks.runner._running
