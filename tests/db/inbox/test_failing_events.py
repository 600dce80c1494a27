"""Events that fail are tried five times and then dead; they harm no other events."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from db.facts import Verdict
from db.inbox.batches import BatchFailed, EventId
from db.inbox.claims import Inbox
from tests.db.books import APPLIED, DUPLICATE, Books, Outcome, Payment, gift
from tests.db.inbox.arrivals import ignore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tests.conftest import Connect


async def test_an_event_that_can_not_be_read_is_tried_five_times_then_dead(books: Books) -> None:
    (event_id,) = await books.receive(Verdict(state="failed", reason="KeyError: 'id'"))
    for tried in range(1, 5):
        assert await books.work() == {event_id: Outcome("pending")}
        event = await books.event(event_id)
        assert (event["attempts"], event["last_error"]) == (tried, "KeyError: 'id'")
        assert event["processed_at"] is None
        assert await books.work() == {}
        books.wait(seconds=2 ** (tried - 1))
    assert await books.work() == {event_id: Outcome("dead", "failed")}


@asynccontextmanager
async def poisoned(books: Books, connect: Connect, column: str, value: str) -> AsyncIterator[None]:
    """Make one gift fail for an unexpected reason, and count the tries to write gifts."""
    await books.db.execute(
        f"""
        create sequence public.tries;
        create function public.count() returns trigger language plpgsql security definer as
        $$ begin perform nextval('public.tries'); return null; end $$;
        create function public.fail() returns trigger language plpgsql as
        $$ begin raise exception 'unforeseen'; end $$;
        create trigger counted before insert on public.gifts
        for each statement execute function public.count();
        create trigger fails before insert on public.gifts
        for each row when (new.{column}::text = '{value}') execute function public.fail();
        """
    )
    yield
    await books.db.execute("drop trigger fails on public.gifts")


async def test_one_poison_event_in_500_fails_alone_and_costs_few_tries(
    books: Books, connect: Connect
) -> None:
    sender, streamer = await books.profile(coins=500), await books.profile()
    event_ids = await books.receive(*(gift(sender, streamer) for _ in range(500)))
    poison = event_ids[333]
    name = (await books.event(poison))["provider_event_id"]
    async with poisoned(books, connect, "provider_event_id", name):
        outcomes = await books.work()
        assert {event_id for event_id, o in outcomes.items() if o != APPLIED} == {poison}
        assert outcomes[poison] == Outcome("pending")
        assert "unforeseen" in (await books.event(poison))["last_error"]
        assert await books.coins(sender) == 1
        assert await books.db.fetchval("select last_value from public.tries") <= 21
        for _ in range(4):
            books.wait(minutes=1)
            outcomes = await books.work()
        assert outcomes == {poison: Outcome("dead", "failed")}


@pytest.mark.parametrize(
    "half", [{"profile_id": None, "buyer_unreadable": True}, {"sku": None}], ids=["held", "waiting"]
)
async def test_half_a_payment_beside_a_poison_event_is_a_duplicate_of_the_whole(
    books: Books, half: dict[str, Any]
) -> None:
    buyer, payment = await books.profile(), Payment()
    poison = Payment().bought(await books.unlucky())
    incomplete, _, _ = await books.receive(
        payment.bought(buyer, **half), poison, payment.bought(buyer)
    )
    await books.work()
    assert await books.coins(buyer) == 100
    assert await books.outcome(incomplete) == DUPLICATE


async def test_an_event_that_another_worker_applied_can_not_be_failed_any_more(
    books: Books,
) -> None:
    buyer = await books.profile()
    (event_id,) = await books.receive(Payment().bought(buyer))
    await books.work()
    fail = "select fleet.fail_event($1, 'late')"
    assert await books.db.fetchval(fail, event_id) is None
    assert await books.outcome(event_id) == APPLIED


async def test_a_failed_event_pauses_then_dies(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    fail = "select fleet.fail_event($1, 'why', $2)"
    states = [await books.db.fetchval(fail, event_id, books.now) for _ in range(5)]
    assert states == ["pending"] * 4 + ["dead"]
    assert (await books.event(event_id))["last_error"] == "why"


async def test_an_event_that_waited_has_its_five_tries_left(books: Books) -> None:
    (event_id,) = await books.receive(Payment().bought(await books.profile(), sku=None))
    assert await books.work() == {event_id: Outcome("waiting", "incomplete_metadata")}
    books.wait(minutes=15)
    assert await books.wake() == 1
    fail = "select fleet.fail_event($1, 'why', $2)"
    states = [await books.db.fetchval(fail, event_id, books.now) for _ in range(5)]
    assert states == ["pending"] * 4 + ["dead"]


async def test_a_batch_that_can_not_be_applied_is_left_as_it_was(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")
    buyer = await books.profile()
    with pytest.raises(BatchFailed) as caught:
        # No interpreter returns such an address: PostgreSQL can't even read the fact.
        await inbox.process_batch(
            lambda _: Payment().bought(buyer, ip_address="300.1.1.1"), limit=10
        )
    assert list(caught.value.event_ids) == [EventId(event_id)]
    assert not caught.value.transient
    event = await books.event(event_id)
    assert (event["state"], event["attempts"], event["starts"]) == ("pending", 0, 0)


async def test_a_batch_that_failed_without_killing_its_worker_counts_no_start(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")

    def fail(_event: ClaimedEvent) -> Fact:
        raise RuntimeError

    for _ in range(5):
        with pytest.raises(BatchFailed):
            await inbox.process_batch(fail, limit=10)
    assert (await inbox.process_batch(ignore, limit=10)).claimed == 1
    assert (await books.event(event_id))["starts"] == 0
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


async def test_a_batch_that_was_cancelled_at_the_workers_end_counts_no_start(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")

    def cut_off(_event: ClaimedEvent) -> Fact:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await inbox.process_batch(cut_off, limit=10)
    await inbox.forget_failed_starts()
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0
    assert list(await books.work()) == [event_id]
    assert (await books.event(event_id))["starts"] == 0
