"""The doorbell: no caller waits, no ring is lost, and no queue grows long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from tasks import PROCESS_PAYMENT_EVENTS
from tests.conditions import eventually
from workers.queue.doorbell import WAITING_MESSAGES_MAX, Bell, Doorbell
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.gate import Gate

QUEUE = "dramatiq:payments"


def settings(url: str) -> Settings:
    """The settings of a process that rings."""
    return Settings(redis_url=url)


@pytest.fixture
def queue(redis_url: str) -> Iterator[redis.Redis]:
    """The queue itself."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def doorbell(redis_url: str) -> Iterator[Doorbell]:
    """A doorbell on an empty queue."""
    doorbell = Doorbell(settings(redis_url))
    yield doorbell
    doorbell.close()


async def waiting(queue: redis.Redis, at_least: int) -> None:
    """Wait until so many messages wait."""

    async def so_many() -> bool:
        return queue.llen(QUEUE) >= at_least

    await eventually(so_many)


async def test_a_ring_reaches_the_queue(doorbell: Doorbell, queue: redis.Redis) -> None:
    doorbell.ring()
    await waiting(queue, 1)


async def test_a_ring_after_the_first_is_not_lost(doorbell: Doorbell, queue: redis.Redis) -> None:
    doorbell.ring()
    await waiting(queue, 1)
    doorbell.ring()
    await waiting(queue, 2)


async def test_the_first_ring_goes_at_once_and_those_in_the_pause_after_it_wait(
    redis_url: str, queue: redis.Redis
) -> None:
    doorbell = Doorbell(settings(redis_url), pause_s=3_600)
    doorbell.ring()
    await waiting(queue, 1)
    for _ in range(200):
        doorbell.ring()
        assert queue.llen(QUEUE) == 1
    doorbell.close()


def test_a_queue_without_readers_stays_short(redis_url: str, queue: redis.Redis) -> None:
    bell = Bell(redis_url)
    for _ in range(2 * WAITING_MESSAGES_MAX):
        bell.ring(PROCESS_PAYMENT_EVENTS)
    bell.close()
    assert queue.llen(QUEUE) == WAITING_MESSAGES_MAX


async def test_a_ring_while_the_queue_is_unreachable_raises_nothing_and_works_when_it_is_back(
    queue_gate: Gate, queue: redis.Redis
) -> None:
    doorbell = Doorbell(settings(queue_gate.url))
    doorbell.ring()
    await queue_gate.open()

    async def is_rung() -> bool:
        doorbell.ring()
        return bool(queue.llen(QUEUE))

    await eventually(is_rung)
    doorbell.close()


async def test_a_frozen_queue_makes_no_caller_wait_for_ever(queue_gate: Gate) -> None:
    await queue_gate.freeze()
    doorbell = Doorbell(settings(queue_gate.url))
    doorbell.ring()
    doorbell.close()
    assert not doorbell._thread.is_alive()
