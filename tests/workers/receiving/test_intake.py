"""Group commit, with a store whose pace the test sets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.errors import DatabaseUnavailable
from db.inbox.arrivals import Arrival, Stored
from workers.outage import Outage
from workers.receiving import intake as intake_module
from workers.receiving.intake import FAILED_ROWS_MAX, WAITING_BYTES_MAX, Intake, NotStored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


class Store:
    """Stores in memory, as soon as the gate is open; a payload may say what goes wrong."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()
        self.calls: list[list[str]] = []
        self.stored: list[str] = []
        self.failures = 0

    async def __call__(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        ids = [arrival.provider_event_id for arrival in arrivals]
        self.calls.append(ids)
        self.called.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable
        if any(arrival.payload == b"bad" for arrival in arrivals):
            raise ValueError
        found = [Stored.SEEN if name in self.stored else Stored.STORED for name in ids]
        self.stored += ids
        return found


class Notes:
    """What the intake reported of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: Sequence[Stored], *, seconds: float) -> None:
        assert seconds >= 0
        self.sizes.append(len(batch))


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest_asyncio.fixture
async def open_intake(store: Store, notes: Notes) -> AsyncIterator[Callable[..., Intake]]:
    """A function that makes intakes; they are closed when the test ends."""
    opened: list[Intake] = []

    def open_intake(**bounds: float) -> Intake:
        intake = Intake(
            store,
            on_stored=notes,
            outage=Outage("database", then="senders get 503"),
            **{"in_flight_max": 1} | bounds,  # type: ignore[arg-type]
        )
        intake.start()
        opened.append(intake)
        return intake

    yield open_intake
    store.gate.set()
    for intake in opened:
        await intake.close()


@pytest_asyncio.fixture
async def intake(open_intake: Callable[..., Intake]) -> Intake:
    return open_intake()


def arrival(name: str, payload: bytes = b"{}") -> Arrival:
    return Arrival("app", name, "gift.sent", payload, b"")


async def turns(count: int = 5) -> None:
    """Let all tasks run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def hold_a_batch(intake: Intake, store: Store) -> asyncio.Task[Stored]:
    """Put one arrival, and return once the store was called for it."""
    store.gate.clear()
    first = asyncio.create_task(intake.put(arrival("first")))
    await store.called.wait()
    return first


async def test_a_single_arrival_is_stored_at_once(intake: Intake, store: Store) -> None:
    assert await intake.put(arrival("a")) is Stored.STORED
    assert await intake.put(arrival("a")) is Stored.SEEN
    assert store.calls == [["a"], ["a"]]


async def test_what_arrives_during_an_insert_is_stored_by_the_next(
    intake: Intake, store: Store, notes: Notes
) -> None:
    first = await hold_a_batch(intake, store)
    others = [asyncio.create_task(intake.put(arrival(name))) for name in "cab"]
    await turns()
    assert intake.waiting == 3
    store.gate.set()
    assert await asyncio.gather(first, *others) == [Stored.STORED] * 4
    assert store.calls == [["first"], ["c", "a", "b"]]
    assert notes.sizes == [1, 3]


async def test_at_most_two_inserts_are_in_flight(
    open_intake: Callable[..., Intake], store: Store
) -> None:
    intake = open_intake(in_flight_max=2)
    puts = [await hold_a_batch(intake, store)]
    for name in "abc":
        puts.append(asyncio.create_task(intake.put(arrival(name))))
        await turns()
    assert store.calls == [["first"], ["a"]]
    store.gate.set()
    assert await asyncio.gather(*puts) == [Stored.STORED] * 4
    assert store.calls[2:] == [["b", "c"]]


async def test_no_caller_is_answered_before_the_insert_ends(intake: Intake, store: Store) -> None:
    first = await hold_a_batch(intake, store)
    await turns(50)
    assert not first.done()
    store.gate.set()
    assert await first is Stored.STORED


async def test_a_batch_is_bounded(open_intake: Callable[..., Intake], store: Store) -> None:
    intake = open_intake(batch_max=2)
    first = await hold_a_batch(intake, store)
    others = [asyncio.create_task(intake.put(arrival(name))) for name in "abc"]
    await turns()
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.calls == [["first"], ["a", "b"], ["c"]]


async def test_a_full_waiting_list_refuses_at_once(
    open_intake: Callable[..., Intake], store: Store
) -> None:
    intake = open_intake(waiting_max=1)
    first = await hold_a_batch(intake, store)
    second = asyncio.create_task(intake.put(arrival("second")))
    await turns()
    with pytest.raises(NotStored):
        await intake.put(arrival("third"))
    store.gate.set()
    assert await asyncio.gather(first, second) == [Stored.STORED] * 2


async def test_waiting_bodies_are_bounded_by_their_bytes(intake: Intake, store: Store) -> None:
    first = await hold_a_batch(intake, store)
    second = asyncio.create_task(intake.put(arrival("second", b"x" * WAITING_BYTES_MAX)))
    await turns()
    with pytest.raises(NotStored):
        await intake.put(arrival("third"))
    store.gate.set()
    assert await asyncio.gather(first, second) == [Stored.STORED] * 2
    assert await intake.put(arrival("third")) is Stored.STORED


async def test_callers_past_the_deadline_are_refused_while_an_insert_hangs(
    open_intake: Callable[..., Intake], store: Store
) -> None:
    intake = open_intake(deadline_s=0.05)
    first = await hold_a_batch(intake, store)
    second = asyncio.create_task(intake.put(arrival("second")))
    for waiting in (first, second):
        with pytest.raises(NotStored):
            await waiting
    store.gate.set()
    assert await intake.put(arrival("third")) is Stored.STORED


async def test_a_cancelled_request_leaves_its_batch_alone(intake: Intake, store: Store) -> None:
    store.gate.clear()
    first, second = (asyncio.create_task(intake.put(arrival(name))) for name in ("a", "b"))
    await store.called.wait()
    first.cancel()
    await turns()
    store.gate.set()
    assert await second is Stored.STORED
    assert store.calls == [["a", "b"]]


async def test_a_request_cancelled_before_its_batch_is_left_out(
    intake: Intake, store: Store
) -> None:
    first = await hold_a_batch(intake, store)
    second, third = (asyncio.create_task(intake.put(arrival(name))) for name in ("b", "c"))
    await turns()
    second.cancel()
    await turns()
    store.gate.set()
    assert await asyncio.gather(first, third) == [Stored.STORED] * 2
    assert store.stored == ["first", "c"]


async def test_a_restarted_database_is_asked_again(intake: Intake, store: Store) -> None:
    store.failures = 2
    assert await intake.put(arrival("a")) is Stored.STORED


async def test_while_the_database_is_unreachable_every_caller_is_refused(
    intake: Intake, store: Store
) -> None:
    store.failures = 3
    first = await hold_a_batch(intake, store)
    store.gate.set()
    with pytest.raises(NotStored):
        await first
    assert await intake.put(arrival("second")) is Stored.STORED


async def test_one_bad_row_fails_alone(intake: Intake, store: Store) -> None:
    first = await hold_a_batch(intake, store)
    names = [f"n{number}" for number in range(100)]
    others = [
        asyncio.create_task(intake.put(arrival(name, b"bad" if name == "n42" else b"{}")))
        for name in names
    ]
    await turns()
    store.gate.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    refused = [name for name, answer in zip(names, answers[1:], strict=True) if answer != "stored"]
    assert refused == ["n42"]
    assert isinstance(answers[43], NotStored)
    assert sorted(store.stored) == sorted({"first", *names} - {"n42"})
    assert len(store.calls) <= 1 + 2 * 8


async def test_when_every_row_fails_the_batch_is_given_up(intake: Intake, store: Store) -> None:
    first = await hold_a_batch(intake, store)
    others = [asyncio.create_task(intake.put(arrival(str(n), b"bad"))) for n in range(400)]
    await turns()
    store.gate.set()
    answers = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(answer, NotStored) for answer in answers)
    assert await first is Stored.STORED
    assert len(store.calls) < 20 + 2 * FAILED_ROWS_MAX


async def test_with_a_shorter_deadline_nobody_waits_for_an_insert_that_hangs(
    intake: Intake, store: Store
) -> None:
    first = await hold_a_batch(intake, store)
    second = asyncio.create_task(intake.put(arrival("second")))
    await turns()
    intake.shorten_deadline(0.05)
    for waiting in (first, second):
        with pytest.raises(NotStored):
            await waiting


async def test_closing_stores_what_is_waiting_and_accepts_nothing_more(
    intake: Intake, store: Store
) -> None:
    first = await hold_a_batch(intake, store)
    second = asyncio.create_task(intake.put(arrival("second")))
    await turns()
    closing = asyncio.create_task(intake.close())
    await turns()
    with pytest.raises(NotStored):
        await intake.put(arrival("third"))
    store.gate.set()
    await closing
    assert await asyncio.gather(first, second) == [Stored.STORED] * 2


async def test_closing_does_not_wait_for_an_insert_that_hangs(
    intake: Intake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "CLOSE_TIMEOUT_S", 0.05)
    first = await hold_a_batch(intake, store)
    await intake.close()
    with pytest.raises(NotStored):
        await first
