"""Payments of stores at random: facts in any order, doubled, in any batches, and decisions."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import Books, Outcome
from tests.db.stores.lifecycles import Lifecycle
from tests.db.stores.sales import purchase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from tests.conftest import Connect

pytestmark = pytest.mark.requirement("C6", "C7", "H10")

NEW_COINS = 5


class Round:
    """Some payments whose events come in one stream, in the books and in the model."""

    def __init__(self, workers: Sequence[Books], people: list[UUID], seed: int) -> None:
        self.workers, self.books, self.people = workers, workers[0], people
        self.random, self.new = Random(seed), f"coins.new.{seed}"
        self.lives: list[Lifecycle] = []
        self.by_event: dict[int, Lifecycle] = {}

    async def run(self, number: int) -> None:
        """Tell of so many payments, decide what is held, tell more, and compare."""
        self.lives = [Lifecycle(self.random, self.people, self.new) for _ in range(number)]
        await self.tell()
        for life in self.lives:
            await self.decide(life)
        await self.list_product()
        await self.tell()
        await self.compare()

    async def tell(self) -> None:
        """Receive some events of all payments, and apply them; 15 minutes later again."""
        told = [(life, fact) for life in self.lives for fact in life.tell()]
        self.random.shuffle(told)
        event_ids = await self.books.receive(*(fact for _, fact in told))
        for event_id, (life, fact) in zip(event_ids, told, strict=True):
            life.events[event_id] = fact
            self.by_event[event_id] = life
        await self.work()
        await self.follow(sorted(event_ids))
        for worker in self.workers:
            worker.wait(minutes=15)
        await self.books.wake()
        await self.work()

    async def work(self) -> None:
        """Apply batches of any size until nothing is due."""
        while True:
            each = [worker.work(self.random.randint(1, 60)) for worker in self.workers]
            if not any(await asyncio.gather(*each)):
                break
        failed = "select last_error from fleet.inbox_events where state = 'pending'"
        assert await self.books.db.fetch(failed) == []

    async def follow(self, event_ids: list[int]) -> None:
        """Tell the model, in the order of events; of several workers nobody knows who was first."""
        if len(self.workers) > 1:
            rows = await self.books.db.fetch(
                "select k.key, s.attributed_to from fleet.store_payments as s"
                " join fleet.payment_keys as k using (payment_id) where s.attributed_to is not null"
            )
            first = {row["key"]: row["attributed_to"] for row in rows}
            for life in self.lives:
                life.model.attributed = life.model.attributed or first.get(life.sale.name)
                life.was_whole |= life.may_be_whole
        for event_id in event_ids:
            self.by_event[event_id].told(event_id)

    async def decide(self, life: Lifecycle) -> None:
        """A person decides the payment, if it is held, or leaves it."""
        model, verb = life.model, self.random.choice(["none", "approve", "reject"])
        if model.bought is None or model.is_granted or model.is_whole or verb == "none":
            return
        without = model.provider == "apple"
        if model.has_purchase:
            row = await purchase(self.books, life.sale)
            assert row is not None, life
            if verb == "reject":
                await self.call("reject_coin_purchase($1, 'ann', 'no', $2)", row["id"], without)
                model.decision = "closed" if without else "refund"
            elif model.hold == "needs_approval":
                await self.call("approve_coin_purchase($1, 'ann', 'yes')", row["id"])
                model.decision = "approved"
            return
        event_id = await self.books.db.fetchval(
            "select held_event_id from fleet.payments as p"
            " join fleet.payment_keys as k on k.payment_id = p.id where k.key = $1",
            life.sale.name,
        )
        if verb == "reject":
            await self.call("reject_held_event($1, 'ann', 'no', $2)", event_id, without)
            model.decision = "closed" if without else "refund"
            model.rejected_without_buyer = True
        else:
            buyer = self.random.choice(self.people)
            await self.call("attribute_held_event($1, $2, 'ann', 'hers')", event_id, buyer)
            model.attributed = buyer
            await self.work()

    async def call(self, call: str, *arguments: Any) -> None:
        await self.books.db.execute(f"select public.{call}", *arguments)

    async def list_product(self) -> None:
        """The missing product is listed, and what is held for it is judged again."""
        await self.books.db.execute(
            "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
            " values ('apple', $1, $2, 5), ('google', $1, $2, 5)",
            self.new,
            NEW_COINS,
        )
        for life in self.lives:
            life.listed(self.new, NEW_COINS)
        await self.books.db.execute("select fleet.judge_holds_again(500, $1)", self.books.now)
        await self.work()

    async def compare(self) -> None:
        """All events, purchases and balances are as the model says."""
        rows = await self.books.db.fetch(
            "select id, state, reason from fleet.inbox_events where id = any($1)",
            list(self.by_event),
        )
        outcomes = {row["id"]: Outcome(row["state"], row["reason"]) for row in rows}
        balances = dict.fromkeys(self.people, 0)
        for life in self.lives:
            life.check(outcomes)
            row = await purchase(self.books, life.sale)
            assert (row is not None) == life.model.has_purchase, life
            if row is not None and life.model.buyer is not None:
                found = row["profile_id"], row["status"], row["refunded_coins"]
                assert found == (life.model.buyer, life.model.status, life.model.taken), life
                balances[life.model.buyer] += life.model.balance
        assert {each: await self.books.coins(each) for each in self.people} == balances


async def run_rounds(workers: Sequence[Books], seeds: Sequence[int], number: int) -> None:
    """Try rounds of so many payments, each with people of its own."""
    await workers[0].db.execute("select fleet.configure(50000, 25000, 1000000, 4)")
    for seed in seeds:
        if seed % 10 == 9:
            # As autovacuum does. Without it the plans of all invariants are those of empty tables.
            await workers[0].db.execute("analyze")
        people = await workers[0].profiles(4)
        await Round(workers, people, seed).run(number)
        assert await workers[0].breaches() == {}, seed


@pytest.mark.usefixtures("named")
async def test_a_stores_payment_follows_the_model(books: Books) -> None:
    await run_rounds([books], range(1), 25)


@pytest.mark.usefixtures("named")
async def test_two_workers_come_to_the_same(books: Books, connect: Connect) -> None:
    other = Books(await connect())
    await run_rounds([books, other], range(100, 101), 25)


@pytest.mark.long
@pytest.mark.usefixtures("named")
async def test_ten_thousand_payments_of_stores_follow_the_model(
    books: Books, connect: Connect
) -> None:
    other = Books(await connect())
    await run_rounds([books], range(1_000, 1_100), 50)
    other.now = books.now
    await run_rounds([books, other], range(2_000, 2_100), 50)
