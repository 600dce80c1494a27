"""What a store's payment should come to, in plain Python: facts and decisions in any order.

It follows CONTRACT ("Stores", "Decisions") and PROVIDERS (0.4, 0.5, 2.14), not the functions of
db/; fractions are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from db.facts import StorePurchase, StoreSnapshot, StoreVoid

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

ALL = 100_000


@dataclass
class Model:
    """One payment of a store, from whatever was told and decided so far."""

    provider: str
    coins: dict[str, int]
    """Coins of one of each product; empty while a product of it is not in the price list."""
    needs_approval: bool
    named: UUID | None = None
    unreadable: bool = False
    people: set[UUID] = field(default_factory=set)
    """Who has a profile."""
    attributed: UUID | None = None
    facts: list[StorePurchase | StoreSnapshot | StoreVoid] = field(default_factory=list)
    decision: Literal["approved", "refund", "closed"] | None = None

    # Whose it is

    @property
    def buyer(self) -> UUID | None:
        """Whom a person or a first submission named, or the store."""
        whose = self.attributed or self.named
        return whose if whose in self.people else None

    def tell(self, fact: StorePurchase | StoreSnapshot | StoreVoid) -> bool:
        """A fact comes; return whether it counts, or is the submission of somebody else."""
        by = fact.submitted_by if isinstance(fact, StorePurchase) else None
        if by is not None:
            whose = self.attributed or self.named
            if whose is None and not self.unreadable and by in self.people:
                whose = self.attributed = by
            if whose is not None and by != whose:
                return False
        self.facts.append(fact)
        return True

    # What went back

    @property
    def bought(self) -> StorePurchase | None:
        """What the store told of the purchase, if it did."""
        return next((fact for fact in self.facts if isinstance(fact, StorePurchase)), None)

    @property
    def fraction(self) -> Fraction:
        """The part of the payment that went back."""
        return self._newest() if self.provider == "apple" else self._largest()

    def _newest(self) -> Fraction:
        """Apple's newest snapshot, of one time the larger; k of so many where it rounds to that."""
        told: list[tuple[datetime, int, int]] = [
            (fact.told_at, fact.reversed_milli_percent, _units(fact))
            for fact in self.facts
            if not isinstance(fact, StoreVoid)
        ]
        if not told:
            return Fraction(0)
        _, share, _ = max(told)
        units = max(units for _, _, units in told)
        for k in range(units + 1):
            if abs(Fraction(k * ALL, units) - share) <= Fraction(1, 2):
                return Fraction(k, units)
        return Fraction(share, ALL)

    def _largest(self) -> Fraction:
        """The largest of what Google's sources say."""
        bought = self.bought
        if bought is None:
            return Fraction(0)
        worth = self.coins or {each.product_id: 1 for each in bought.line_items}
        quantities = {each.product_id: each.quantity for each in bought.line_items}
        whole = sum(worth[name] * number for name, number in quantities.items())
        back = dict.fromkeys(quantities, 0)
        found = [Fraction(0)]
        voids: set[tuple[datetime, int | None]] = set()
        for fact in self.facts:
            if isinstance(fact, StoreVoid):
                voids.add((fact.told_at, fact.voided_quantity))
                continue
            found.append(Fraction(fact.reversed_milli_percent, ALL))
            for each in fact.line_items if isinstance(fact, StorePurchase) else ():
                back[each.product_id] = max(back[each.product_id], each.reversed_quantity or 0)
        found.append(
            Fraction(sum(worth[name] * min(back[name], quantities[name]) for name in back), whole)
        )
        voided = sum(quantity or 0 for _, quantity in voids)
        is_all = any(quantity is None for _, quantity in voids)
        if is_all or voided >= sum(quantities.values()):
            found.append(Fraction(1))
        found.append(Fraction(voided * min(worth.values()), whole))
        return min(Fraction(1), max(found))

    @property
    def is_whole(self) -> bool:
        """Whether all of it went back."""
        return self.fraction == 1

    # What follows

    @property
    def has_purchase(self) -> bool:
        """Whether a purchase is recorded: it was told, and it is known whose it is."""
        return self.bought is not None and self.buyer is not None and not self._is_lost

    @property
    def _is_lost(self) -> bool:
        """Whether a person rejected it before anybody was known to have bought it."""
        return self.decision in ("refund", "closed") and self.rejected_without_buyer

    rejected_without_buyer: bool = False

    @property
    def hold(self) -> str | None:
        """Why it waits for a person, if it does or did."""
        if self.buyer is None:
            return "unknown_buyer"
        if not self.coins:
            return "unknown_product"
        return "needs_approval" if self.needs_approval else None

    @property
    def is_granted(self) -> bool:
        """Whether its coins were credited."""
        return self.has_purchase and (self.hold is None or self.decision == "approved")

    @property
    def worth(self) -> int:
        """The coins of its products."""
        bought = self.bought
        return (
            sum(self.coins[i.product_id] * i.quantity for i in bought.line_items) if bought else 0
        )

    @property
    def taken(self) -> int:
        """The coins that went back."""
        return int(self.worth * self.fraction) if self.is_granted else 0

    @property
    def balance(self) -> int:
        """The coins that are left of it."""
        return self.worth - self.taken if self.is_granted else 0

    @property
    def status(self) -> str:
        """The status of its purchase."""
        if self.is_whole:
            return "refunded"
        return "confirmed" if self.is_granted else "pending"


def _units(fact: StorePurchase | StoreSnapshot) -> int:
    if isinstance(fact, StoreSnapshot):
        return fact.quantity
    return sum(each.quantity for each in fact.line_items)
