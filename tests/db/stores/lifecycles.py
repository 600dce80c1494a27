"""Random lifecycles of payments at stores: what is told of each, in any order, and decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from db.facts import StorePurchase, StoreSnapshot, StoreVoid
from tests.db.books import APPLIED, DUPLICATE, NO_PURCHASE_YET, NOON, Outcome
from tests.db.stores.model import ALL, Model
from tests.db.stores.sales import (
    COINS,
    HUNDRED,
    NOT_THE_BUYER,
    SEVEN,
    UNKNOWN_BUYER,
    Sale,
    item,
)

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random
    from uuid import UUID

    from db.facts import LineItem

CLOSED = Outcome("applied", "refunded_while_held")
Told: TypeAlias = StorePurchase | StoreSnapshot | StoreVoid
BY_DECISION = Outcome("rejected", "by_decision")


@dataclass
class Lifecycle:
    """One payment: the facts that will be told of it, and what the model says of it."""

    random: Random
    people: list[UUID]
    new: str
    """A product that is not in the price list yet."""
    sale: Sale = field(init=False)
    model: Model = field(init=False)
    events: dict[int, Told] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    was_whole: bool = False

    def __post_init__(self) -> None:
        random = self.random
        self.sale = Sale(random.choice(["apple", "google"]))
        kind = random.choice(["one", "one", "some", "some", "two", "dear", "new"])
        self.items = self._items(kind)
        is_known = all(each.product_id in COINS for each in self.items)
        naming = random.choice(["named", "named", "none", "none", "unreadable", "ghost"])
        named = {"named": random.choice(self.people), "ghost": uuid4()}.get(naming)
        self.model = Model(
            provider=self.sale.provider,
            coins={each.product_id: COINS[each.product_id] for each in self.items}
            if is_known
            else {},
            needs_approval=kind == "dear",
            named=named,
            unreadable=naming == "unreadable",
            people=set(self.people),
        )

    def _items(self, kind: str) -> list[LineItem]:
        several = self.random.randint(2, 9)
        if kind == "two" and self.sale.provider == "google":
            return [item(units=several), item(SEVEN, units=self.random.randint(1, 5))]
        return {
            "one": [item(SEVEN)],
            "dear": [item(units=30_000)],
            "new": [item(self.new, units=several)],
        }.get(kind, [item(self.random.choice([HUNDRED, SEVEN]), units=several)])

    # Facts

    def tell(self) -> list[Told]:
        """Return some facts: notifications, submissions, reversals, each perhaps repeated."""
        random = self.random
        facts = [self._sold() for _ in range(random.randint(0, 2))]
        facts += [self._submitted() for _ in range(random.choice([0, 1, 1, 2]))]
        facts += [self._reversal() for _ in range(random.choice([0, 0, 1, 2, 3]))]
        facts += random.choices(facts, k=random.randint(0, 2)) if facts else []
        return facts

    def _sold(self, by: UUID | None = None) -> Told:
        share = self.random.choice([0, 0, 0, 0, self._share()])
        return self.sale.sold(
            self.model.named,
            *(self._with_reversed(each) for each in self.items),
            told_at=self._moment(),
            buyer_unreadable=self.model.unreadable,
            reversed_milli_percent=share if self.sale.provider == "apple" else share // ALL * ALL,
            submitted_by=by,
        )

    def _submitted(self) -> Told:
        whose = [
            self.random.choice(self.people),
            self.model.named or self.random.choice(self.people),
        ]
        return self._sold(self.random.choice(whose))

    def _with_reversed(self, each: LineItem) -> LineItem:
        if self.sale.provider == "apple":
            return each
        back = self.random.choice([None, None, 0, self.random.randint(0, each.quantity)])
        return item(each.product_id, units=each.quantity, back=back)

    def _reversal(self) -> Told:
        units = sum(each.quantity for each in self.items)
        if self.sale.provider == "apple":
            return self.sale.reversed(self._share(), self._moment(), quantity=units)
        quantity = self.random.choice([None, 1, self.random.randint(1, units)])
        keys = self.random.choice([self.sale.keys, self.sale.keys[:1]])
        return self.sale.voided(quantity, self._moment(), payment_keys=keys)

    def _share(self) -> int:
        units = sum(each.quantity for each in self.items)
        k = self.random.randint(0, units)
        if self.items[0].product_id == self.new and self.sale.provider == "apple":
            # Once it was closed, what judges it again depends on the order of events.
            return self.random.choice([0, (units // 2) * ALL // units])
        return self.random.choice([0, ALL, round(k * ALL / units), self.random.randint(0, ALL)])

    def _moment(self) -> datetime:
        return NOON + timedelta(minutes=self.random.randint(0, 3))

    # What was told and decided

    def told(self, event_id: int) -> None:
        """The event was applied."""
        if not self.model.tell(self.events[event_id]):
            self.refused.add(event_id)
        self.was_whole |= self.model.is_whole

    @property
    def may_be_whole(self) -> bool:
        """Whether it was reversed whole for a moment, in some order of its events."""
        orders = Model(self.model.provider, self.model.coins, needs_approval=False)
        orders.facts = [*self.events.values()]
        return (
            any(getattr(fact, "reversed_milli_percent", 0) == ALL for fact in orders.facts)
            or orders.is_whole
        )

    def listed(self, product: str, coins: int) -> None:
        """The product is in the price list from now on."""
        # Nobody judges again what was closed or decided.
        is_over = self.model.has_purchase and (self.model.is_whole or self.model.decision)
        if any(each.product_id == product for each in self.items) and not is_over:
            self.model.coins = {product: coins}

    # What is to be seen

    def check(self, outcomes: dict[int, Outcome]) -> None:
        """Compare what became of each event with what may have."""
        bought: list[Outcome] = []
        for event_id, fact in self.events.items():
            outcome = outcomes[event_id]
            if event_id in self.refused:
                assert outcome == NOT_THE_BUYER, self
            elif isinstance(fact, StorePurchase):
                bought.append(outcome)
            else:
                assert outcome in self._reversed(), self
        if not bought:
            return
        first, others = self._bought()
        # One event has the purchase, if there is one; those that were closed before stay closed.
        if first is not None:
            assert first in bought, (self, bought)
            bought.remove(first)
        allowed = others | ({CLOSED} if self.was_whole else set())
        assert set(bought) <= allowed, (self, bought)

    def _reversed(self) -> set[Outcome]:
        if self.model.has_purchase:
            return {APPLIED}
        if self.model.bought is not None and (self.was_whole or self.model.decision == "closed"):
            return {APPLIED, NO_PURCHASE_YET}
        return {NO_PURCHASE_YET}

    def _bought(self) -> tuple[Outcome | None, set[Outcome]]:
        model = self.model
        held = Outcome("held", model.hold)
        if not model.has_purchase:
            if model.decision is None:
                return None, {CLOSED} if model.is_whole else {UNKNOWN_BUYER}
            is_closed = model.decision == "closed" or model.is_whole
            return None, {BY_DECISION} if is_closed else {UNKNOWN_BUYER, BY_DECISION}
        if model.is_granted:
            return APPLIED, {DUPLICATE}
        if model.decision is None:
            return CLOSED if model.is_whole else held, {DUPLICATE}
        is_closed = model.decision == "closed" or model.is_whole
        return BY_DECISION if is_closed else held, {DUPLICATE}
