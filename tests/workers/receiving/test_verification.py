"""Slow verification: on threads, a bounded number of requests, and for a bounded time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest_asyncio

from db.inbox.arrivals import Arrival, Stored
from tasks.providers.provider import Provider
from tasks.providers.signed import NotAuthentic, arrival
from tests.conditions import DEADLINE_S
from workers.receiving.answers import NOT_STORED, STORED
from workers.receiving.receiver import Receiver
from workers.receiving.refusals import Refusals
from workers.receiving.verification import THREADS, Verification
from workers.serving.answer import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent


class Vendor(Provider):
    """A provider whose verification ends when the test says so."""

    name = "vendor"
    body_is_fixed = False

    def __init__(self, *, is_slow: bool = True) -> None:
        self._is_slow = is_slow
        self.threads: list[str] = []
        self.may_end = threading.Event()

    def is_slow(self, body: bytes, headers: Mapping[bytes, bytes]) -> bool:
        return self._is_slow

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        self.threads.append(threading.current_thread().name)
        if self._is_slow:
            assert self.may_end.wait(DEADLINE_S)
        if body == b"forged":
            raise NotAuthentic
        return arrival(self.name, event_id="1", event_type="t", body=body)

    def interpret(self, event: ClaimedEvent) -> Fact:
        raise NotImplementedError


class StoresAll:
    """An intake that stores everything at once."""

    async def put(self, _arrival: Arrival) -> Stored:
        return Stored.STORED


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A verification whose threads end with the test, whatever it did."""
    yield (vendor := Vendor())
    vendor.may_end.set()


async def post(provider: Provider, verification: Verification, body: bytes = b"{}") -> Answer:
    """Send one webhook to a receiver with this provider."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    receiver = Receiver(
        providers={provider.name: provider},
        verification=verification,
        intake=StoresAll(),  # type: ignore[arg-type]
        note_received=lambda *_: None,
        refusals=Refusals(),
    )
    return await receiver.receive(provider.name, {"headers": []}, receive)  # type: ignore[arg-type]


async def begun(vendor: Vendor, number: int = 1) -> None:
    """Wait until so many verifications have begun."""
    async with asyncio.timeout(DEADLINE_S):
        while len(vendor.threads) < number:  # noqa: ASYNC110 - a thread sets no event of this loop
            await asyncio.sleep(0.001)


async def test_a_quick_provider_is_verified_on_the_event_loop() -> None:
    vendor = Vendor(is_slow=False)
    assert await post(vendor, Verification()) is STORED
    assert vendor.threads == [threading.current_thread().name]


async def test_a_slow_provider_is_verified_on_a_thread_and_others_go_on(vendor: Vendor) -> None:
    verification = Verification()
    slow = asyncio.create_task(post(vendor, verification))
    await begun(vendor)
    assert vendor.threads[0].startswith("verification")
    assert await post(Vendor(is_slow=False), verification) is STORED
    assert not slow.done()
    vendor.may_end.set()
    assert await slow is STORED
    verification.close()


async def test_a_forged_webhook_is_refused_from_a_thread_too(vendor: Vendor) -> None:
    vendor.may_end.set()
    answer = await post(vendor, Verification(), b"forged")
    assert (answer.status, answer.cause) == (400, "no_match")


async def test_more_requests_than_may_wait_are_answered_with_send_again(vendor: Vendor) -> None:
    verification = Verification(waiting_max=THREADS + 1)
    waiting = [asyncio.create_task(post(vendor, verification)) for _ in range(THREADS + 1)]
    await begun(vendor, THREADS)
    assert await post(vendor, verification) is NOT_STORED
    vendor.may_end.set()
    assert await asyncio.gather(*waiting) == [STORED] * (THREADS + 1)
    assert await post(vendor, verification) is STORED


async def test_a_sender_that_waits_too_long_is_told_to_send_again_and_the_thread_gets_free(
    vendor: Vendor,
) -> None:
    verification = Verification(timeout_s=0.05)
    late = [post(vendor, verification) for _ in range(THREADS + 3)]
    assert await asyncio.gather(*late) == [NOT_STORED] * (THREADS + 3)
    # Those that no thread has begun are never begun.
    assert len(vendor.threads) == THREADS
    vendor.may_end.set()
    answers = [await post(vendor, Verification())]
    while answers[-1] is not STORED:
        answers.append(await post(vendor, verification))
    assert await post(vendor, verification) is STORED


async def test_closing_waits_for_nothing(vendor: Vendor) -> None:
    verification = Verification()
    slow = asyncio.create_task(post(vendor, verification))
    await begun(vendor)
    verification.close()
    assert not slow.done()
    vendor.may_end.set()
    assert await slow is STORED
