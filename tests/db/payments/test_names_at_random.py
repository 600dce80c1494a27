"""Calls, events and refunds of a few payments under random names, against a model of sets.

Names are known to belong together once an event names them together. All grants of such a set are
one payment: refunds by any of its names settle each of the grants.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.db.books import COINS, Books, Outcome, Payment
from tests.db.money.calls import buy

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from db.facts import Fact
    from tests.conftest import SignIn

pytestmark = pytest.mark.requirement("C3")

GRANTED_TWICE = Outcome("applied", "granted_twice")
PAIRS = "select purchase_ids from invariants.payments_are_granted_once"
CLOSE = "select fleet.close_double_grant($1, false, 'ann', 'at random')"


class Group:
    """Names that are known to be names of one payment."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.grants = 0
        self.refunds: dict[str, int] = {}

    @property
    def coins(self) -> int:
        return self.grants * (COINS - min(COINS, sum(self.refunds.values())))


class RandomPayment:
    """A payment of 100 coins for 1.00, and what is known of its names."""

    def __init__(self, books: Books, backend: Connection, buyer: UUID, random: Random) -> None:
        self.books, self.backend, self.buyer, self.random = books, backend, buyer, random
        self.payment = Payment()
        self.names = (self.payment.intent, self.payment.charge, f"cs_{self.payment.number}")
        self.groups: list[Group] = []

    @property
    def coins(self) -> int:
        return sum(group.coins for group in self.groups)

    def join(self, names: list[str]) -> tuple[Group, bool]:
        """Return the group of all these names, and whether it joins several grants."""
        met = [group for group in self.groups if group.names & set(names)]
        one = Group()
        one.names = set(names).union(*(group.names for group in met))
        for group in met:
            one.grants += group.grants
            one.refunds |= group.refunds
        self.groups = [group for group in self.groups if group not in met] + [one]
        return one, sum(group.grants > 0 for group in met) > 1

    async def call(self) -> None:
        """Record the payment by a call under one of its names, perhaps again."""
        name = self.random.choice(self.names)
        group, _ = self.join([name])
        row = await buy(self.backend, self.buyer, f"rpc_{name}", name, provider="stripe")
        assert row[2] == (group.grants > 0)
        group.grants = max(group.grants, 1)

    def event(self) -> tuple[Fact, bool]:
        """Return an event by one or two names, paid or refunded, and whether it joins grants."""
        names = self.random.sample(self.names, self.random.choice([1, 2, 2]))
        if self.random.random() < 0.5:
            group, joins = self.join(names)
            group.grants = max(group.grants, 1)
            paid = self.payment.bought(self.buyer, provider_payment_id=names[0], payment_keys=names)
            return paid, joins
        name, amount = self.random.choice([("a", 10), ("b", 25), ("c", 60)])
        refund = self.payment.refund(amount, name)
        # A refund's own id is a name, too, as Stripe's is.
        names.append(refund.refund_id)
        group, joins = self.join(names)
        group.refunds[refund.refund_id] = amount
        return self.payment.refund(amount, name, payment_keys=names), joins


async def try_names(books: Books, backend: Connection, seed: int) -> None:
    """One one of a dozen steps; after each the buyer has what the model says."""
    random, buyer = Random(seed), await books.profile()
    # More than five purchases in a minute would be held.
    await books.db.execute("select fleet.configure(50000, 25000, 1000, 4)")
    payments = [RandomPayment(books, backend, buyer, random) for _ in range(2)]
    for _ in range(12):
        one = random.choice(payments)
        if random.random() < 0.3:
            await one.call()
        else:
            fact, joins = one.event()
            outcome = await books.apply_one(fact)
            assert (outcome == GRANTED_TWICE) == joins, (seed, fact)
        assert await books.coins(buyer) == sum(s.coins for s in payments), seed
    for pair in await books.db.fetch(PAIRS):
        await books.db.execute(CLOSE, pair["purchase_ids"][0])


@pytest_asyncio.fixture
async def backend(signed_in: SignIn) -> Connection:
    """The platform's backend, with the service key."""
    return await signed_in(role="service_role")


async def test_coins_follow_the_payment_whatever_its_names_and_their_order(
    books: Books, backend: Connection
) -> None:
    for seed in range(12):
        await try_names(books, backend, seed)


@pytest.mark.long
async def test_many_sequences_of_names_end_as_the_model_says(
    books: Books, backend: Connection
) -> None:
    for seed in range(12, 300):
        await try_names(books, backend, seed)
