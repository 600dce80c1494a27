"""Freezes with refunds, disputes, gifts and decisions at random, against the model.

The events of some payments come in any order, each once or more, in batches cut at random; between
batches people approve and release. After each batch every balance and what is frozen of it is what
the model says, and every gift was judged by that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest

from db.facts import Names
from tests.db.books import APPLIED, SHORT, Books, Payment, gift
from tests.db.freezes.freezing import frozen
from tests.db.freezes.model import COINS, Account, Told

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from db.facts import Fact

pytestmark = pytest.mark.requirement("C6", "C7")

APPROVE = "select public.approve_coin_purchase($1, null, 'checked')"
RELEASE = "select public.release_coin_purchase($1, null, 'known')"
# A story of each kind: its events in the order in which Stripe tells them.
STORIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("warning", ("open", "open")),
    ("review", ("open", "closed")),
    ("review", ("open",)),
    ("dispute", ("warning_needs_response", "warning_under_review", "warning_closed")),
    ("dispute", ("warning_needs_response",)),
    ("dispute", ("warning_needs_response", "needs_response", "won")),
    ("dispute", ("needs_response", "lost")),
    ("refund", ("pending", "succeeded")),
    ("refund", ("pending", "failed")),
    ("refund", ("succeeded",)),
)
# Mostly a payment is frozen, and only sometimes does money go back.
WEIGHTS = (3, 3, 2, 3, 2, 1, 1, 1, 1, 1)


@dataclass
class Played:
    """A buyer, the payments and what is still to be told of them."""

    books: Books
    rng: Random
    buyer: UUID
    friend: UUID
    accounts: dict[Payment, Account] = field(default_factory=dict)
    given: int = 0

    def events(self) -> list[tuple[Payment, Told | None]]:
        """All events in a new order, some repeated; None is a purchase."""
        told: list[tuple[Payment, Told | None]] = []
        for payment in self.accounts:
            told.append((payment, None))
            for no in range(self.rng.randint(1, 4)):
                told.extend((payment, each) for each in self.story(no))
        told.extend(self.rng.choices(told, k=len(told) // 3))
        self.rng.shuffle(told)
        return told

    def story(self, no: int) -> list[Told]:
        """What is told of one warning, review, dispute or refund."""
        ((kind, statuses),) = self.rng.choices(STORIES, WEIGHTS)
        opened = self.rng.randrange(5)
        amount = self.rng.choice((200, 500, COINS))
        minute, told = opened, []
        for status in statuses:
            told.append(Told(kind, no, opened, minute, status, amount))
            minute += self.rng.randint(1, 2)
        return told

    def bought(self, payment: Payment, keys: list[str]) -> Fact:
        """The payment is paid."""
        return payment.bought(self.buyer, units=10, payment_keys=keys)

    @property
    def balance(self) -> int:
        """The coins that the buyer has, or owes."""
        return sum(each.left for each in self.accounts.values()) - self.given

    @property
    def frozen(self) -> int:
        """How many of them can't be spent."""
        return sum(each.frozen for each in self.accounts.values())

    async def check(self) -> None:
        """Compare the books with the model."""
        found = await self.books.coins(self.buyer), await frozen(self.books, self.buyer)
        assert found == (self.balance, self.frozen)


async def play(books: Books, seed: int) -> Played:
    """A buyer and the accounts of some payments, of which nothing is told yet."""
    rng = Random(seed)
    buyer, friend = await books.profiles(2)
    played = Played(books, rng, buyer, friend)
    for _ in range(rng.randint(1, 3)):
        played.accounts[Payment()] = Account()
    return played


async def apply_batch(
    played: Played, batch: list[tuple[Payment, Told | None]], *, is_held: bool
) -> None:
    """Apply a batch with gifts in it: purchases come first, freezes, gifts, then reversals."""
    books, accounts = played.books, played.accounts
    prices = [played.rng.choice((1, 100, 400, COINS)) for _ in range(played.rng.randint(0, 3))]
    facts: list[Fact] = [
        event.fact(payment) if event else played.bought(payment, payment.keys)
        for payment, event in batch
    ]
    gifts = [gift(played.buyer, played.friend, coins) for coins in prices]
    outcomes = await books.apply(*facts, *gifts)
    for payment, event in batch:
        if event is None and not is_held:
            accounts[payment].is_granted = True
        elif event is not None and event.kind in ("warning", "review"):
            accounts[payment].events.add(event)
    for coins, outcome in zip(prices, outcomes[len(facts) :], strict=True):
        fits = coins <= played.balance - played.frozen
        assert outcome == (APPLIED if fits else SHORT)
        played.given += coins if fits else 0
    for payment, event in batch:
        if event is not None:
            accounts[payment].events.add(event)


async def decide(played: Played, bought: set[Payment]) -> None:
    """Let people approve or release some of what was bought."""
    for payment in sorted(bought, key=lambda each: each.number):
        account = played.accounts[payment]
        purchase_id = (await played.books.purchase(payment))["id"]
        if played.rng.random() < 0.5 and not account.is_granted and account.taken < COINS:
            await played.books.db.execute(APPROVE, purchase_id)
            account.is_granted = True
        if played.rng.random() < 0.15:
            account.released |= account.open_freezes()
            await played.books.db.execute(RELEASE, purchase_id)


async def check_run(books: Books, seed: int) -> None:
    """Play a run to its end."""
    played = await play(books, seed)
    is_held = played.rng.random() < 0.3
    limit = 5 if is_held else 25_000
    await books.db.execute("update fleet.settings set approval_threshold_usd = $1", limit)
    told, bought = played.events(), set[Payment]()
    while told:
        size = played.rng.randint(1, 6)
        batch, told = told[:size], told[size:]
        await apply_batch(played, batch, is_held=is_held)
        await played.check()
        bought |= {payment for payment, event in batch if event is None}
        await decide(played, bought)
        await played.check()


async def check_names(books: Books, seed: int) -> None:
    """The same events, each under some names of its payment, which join at the end."""
    played = await play(books, seed)
    told = played.events()
    while told:
        size = played.rng.randint(1, 6)
        batch, told = told[:size], told[size:]
        facts = []
        for payment, event in batch:
            names = played.rng.choice((payment.keys, payment.keys[:1], payment.keys[1:]))
            if event is None:
                facts.append(played.bought(payment, payment.keys[:1]))
                played.accounts[payment].is_granted = True
            else:
                facts.append(_under(event.fact(payment), names))
                played.accounts[payment].events.add(event)
        await books.apply(*facts)
    await books.apply(*[Names(payment_keys=payment.keys) for payment in played.accounts])
    await played.check()


def _under(fact: Fact, names: list[str]) -> Fact:
    """The fact, by some names only."""
    told = {name: getattr(fact, name) for name in fact.__struct_fields__}
    make: Callable[..., Fact] = type(fact)
    return make(**told | {"payment_keys": names})


# Each some runs on the same books, which grow: the invariants read all of them after each run.
RUNS = [
    pytest.param(range(12), id="short"),
    *(
        pytest.param(range(first, first + 40), id=f"from-{first}", marks=pytest.mark.long)
        for first in range(12, 252, 40)
    ),
]


@pytest.mark.parametrize("seeds", RUNS)
async def test_freezes_at_random_end_as_the_model_says(books: Books, seeds: range) -> None:
    for seed in seeds:
        await check_run(books, seed)
        assert await books.breaches() == {}, seed


@pytest.mark.parametrize("seeds", RUNS)
async def test_names_that_join_at_random_freeze_as_the_model_says(
    books: Books, seeds: range
) -> None:
    for seed in seeds:
        await check_names(books, seed)
        assert await books.breaches() == {}, seed
