"""The whole ledger against a model, with random batches.

Each step applies up to 50 mixed, repeated and shuffled events as a worker does. Then it compares
every event, balance and purchase, and reads every invariant. Without COINFLEET_HYPOTHESIS=long
there are few examples, the same each time, and a failing one is not reduced.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from db.arrivals import Stored, store_arrivals
from db.batches import ClaimedEvent
from db.connections.pool import open_connection, open_pool
from db.inbox import Inbox
from tasks.providers import PROVIDERS
from tests.db.books import PRICE_LIST, Outcome, breaches
from tests.db.model.accounts import Account
from tests.db.model.events import GIFTS, PRICES, RandomEvents
from tests.db.model.ledger import Model

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from uuid import UUID

    from db.arrivals import Arrival
    from db.facts import Fact
    from tests.clusters import Cluster, Database

pytestmark = pytest.mark.requirement("C1")

LONG = os.environ.get("COINFLEET_HYPOTHESIS") == "long"
PROFILE = settings(
    max_examples=500 if LONG else 10,
    stateful_step_count=20,
    derandomize=not LONG,
    phases=tuple(Phase) if LONG else [Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
OPENING_COINS = 100
RATES = "insert into public.fx_rates (currency, usd_per_unit) values ('eur', 1.25)"
OPENING = "select public.update_coin_balance_via_ledger($1, $2, 'adjustment', $3)"
# New events are dated ahead, so that no event ages because the test is slow.
AHEAD = timedelta(hours=1)
# Longer than gifts wait, twice as long as half a purchase waits, longer than reversals wait.
RESTS = [AHEAD + timedelta(minutes=1)] * 3 + [timedelta(days=36)]

# A number stands for a whole batch: of single events Hypothesis would draw small batches.
seeds = st.integers(0, 2**32 - 1).map(Random)
sizes = st.sampled_from([1, 2, 5, 10, 20, 50])
limits = st.sampled_from([1, 7, 20, 50])


class LedgerMachine(RuleBasedStateMachine):
    """One receiver and one worker, and the model that they are compared with."""

    def __init__(self, cluster: Cluster, template: Database) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster = cluster
        self.model = Model(now=datetime.now(UTC), prices=PRICES, gifts=GIFTS)
        self.arrivals: list[Arrival] = []
        self.known: set[str] = set()
        self.run(self.open(template))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    # Steps

    @initialize(random=seeds)
    def sign_up(self, random: Random) -> None:
        self.source = RandomEvents(random)
        self.run(self.open_accounts(self.source.people))

    @rule(random=seeds, size=sizes, limit=limits)
    def deliver_and_work(self, random: Random, size: int, limit: int) -> None:
        fresh = self.source.events(random, size)
        self.arrivals += fresh
        delivered = fresh + random.sample(self.arrivals, (size + 1) // 2)
        random.shuffle(delivered)
        self.run(self.deliver(delivered))
        self.run(self.work(limit, self.some_pending(random)))

    @rule(rest=st.sampled_from(RESTS), limit=limits)
    def rest_and_work(self, rest: timedelta, limit: int) -> None:
        self.run(self.rest(rest))
        self.run(self.work(limit))

    def some_pending(self, random: Random) -> list[int]:
        pending = [event.id for event in self.model.pending]
        return random.sample(pending, min(len(pending), random.choice([0, 0, 1, 5])))

    def teardown(self) -> None:
        try:
            self.run(self.finish())
        finally:
            self.run(self.close())
            self.runner.close()

    # The work of the steps

    async def open(self, template: Database) -> None:
        self.database = await self.cluster.create(template.name)
        self.owner = await open_connection(self.database.url(), application_name="test")
        self.web = await open_pool(self.database.url("web"), application_name="web", max_size=1)
        self.worker = await open_pool(
            self.database.url("worker"), application_name="worker", max_size=2
        )
        self.inbox = Inbox(self.worker, worker="machine")
        await self.owner.execute(PRICE_LIST + RATES)

    async def close(self) -> None:
        self.owner.terminate()
        self.web.terminate()
        self.worker.terminate()
        await self.cluster.drop(self.database)

    async def open_accounts(self, people: Sequence[UUID]) -> None:
        await self.owner.execute("insert into auth.users (id) select unnest($1::uuid[])", people)
        for person in people:
            await self.owner.execute(OPENING, person, OPENING_COINS, f"opening {person}")
            self.model.accounts[person] = Account(coins=OPENING_COINS)

    async def deliver(self, arrivals: Sequence[Arrival]) -> None:
        found = await store_arrivals(self.web, arrivals)
        for arrival, stored in zip(arrivals, found, strict=True):
            is_known = arrival.provider_event_id in self.known
            assert stored == (Stored.SEEN if is_known else Stored.STORED)
            self.known.add(arrival.provider_event_id)
        rows = await self.owner.fetch(
            "update fleet.inbox_events set received_at = received_at + $1::interval where id > $2"
            " returning id, provider, provider_event_id, event_type, payload, received_at,"
            " attempts",
            AHEAD,
            max(self.model.events, default=0),
        )
        for row in rows:
            fact = interpret(ClaimedEvent(**row))
            self.model.receive(row["id"], fact, received=self.model.now + AHEAD)

    async def rest(self, duration: timedelta) -> None:
        await self.owner.execute(
            "update fleet.inbox_events set received_at = received_at - $1::interval,"
            " next_attempt_at = next_attempt_at - $1::interval"
            " where state in ('pending', 'waiting')",
            duration,
        )
        await self.owner.execute("select fleet.wake_waiting_events(10000)")
        self.model.now += duration
        self.model.wake()

    async def work(self, limit: int, elsewhere: Sequence[int] = ()) -> None:
        await self.owner.execute(
            "update fleet.inbox_events set next_attempt_at = '-infinity' where state = 'pending'"
        )
        async with self.owner.transaction():
            # What another worker has claimed is open, but can't be claimed.
            await self.owner.execute(
                "select from fleet.inbox_events where id = any($1) for no key update", elsewhere
            )
            result = await self.inbox.process_batch(interpret, limit=limit)
        outcomes = {o.event_id: Outcome(o.state, o.reason) for o in result.outcomes}
        assert outcomes == self.model.work(limit, elsewhere=elsewhere)
        await self.compare()

    async def finish(self) -> None:
        await self.rest(RESTS[0])
        while any(event.state == "pending" for event in self.model.events.values()):
            await self.work(50)

    # What must agree

    async def compare(self) -> None:
        assert await breaches(self.owner) == {}
        rows = await self.owner.fetch("select id, state, reason from fleet.inbox_events")
        events = {row["id"]: Outcome(row["state"], row["reason"]) for row in rows}
        assert events == {event.id: event.outcome for event in self.model.events.values()}
        assert await self.accounts() == {
            person: (a.coins, a.earnings, a.bought, a.spent, a.received)
            for person, a in self.model.accounts.items()
        }
        assert await self.purchases() == {
            (b.event_id, b.buyer, b.coins, b.paid, b.hold, b.taken, b.status)
            for payment in self.model.payments.values()
            if (b := payment.bought)
        }

    async def accounts(self) -> dict[UUID, tuple[int, ...]]:
        rows = await self.owner.fetch(
            "select id, coin_balance, earnings_balance, total_purchased, total_spent,"
            " total_gifts_received from public.profiles"
        )
        return {row["id"]: tuple(row)[1:] for row in rows}

    async def purchases(self) -> set[tuple[Any, ...]]:
        rows = await self.owner.fetch(
            "select e.id, cp.profile_id, cp.coin_amount, cp.amount_minor, cp.hold_reason,"
            " cp.refunded_coins, cp.status"
            " from public.coin_purchases as cp"
            " join fleet.inbox_events as e using (provider_event_id)"
        )
        return {tuple(row) for row in rows}


PROVIDERS_BY_NAME = {provider.name: provider() for provider in PROVIDERS}


def interpret(event: ClaimedEvent) -> Fact:
    """The fact that the worker reads in the event."""
    return PROVIDERS_BY_NAME[event.provider].interpret(event)


def test_the_books_follow_the_model_for_any_events_in_any_order(
    cluster: Cluster, template: Database
) -> None:
    def machine() -> LedgerMachine:
        return LedgerMachine(cluster, template)

    run_state_machine_as_test(machine, settings=PROFILE)  # type: ignore[arg-type]
