"""One payment in the model of the ledger: all that events said of it, and what follows.

It follows the contract's "Rules with an edge", not the functions of db/; fractions are exact.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from db.facts import Dispute, Half, Purchase, Refund, RefundTotal

UNDONE = ("failed", "canceled")
OVER = ("won", "prevented", "warning_closed")
# All have two decimals. There is no rate for any other.
USD_PER_UNIT = {"usd": Fraction(1), "eur": Fraction(5, 4)}


@dataclass
class Bought:
    """A recorded purchase."""

    event_id: int
    buyer: UUID
    coins: int
    paid: int
    currency: str
    at: datetime
    hold: str | None
    taken: int = 0
    status: str = "pending"


class Paid(NamedTuple):
    """The money of a payment."""

    minor: int
    currency: str


class Hold(NamedTuple):
    """An event that is held without a purchase."""

    paid: Paid
    event_id: int
    reason: str | None


@dataclass(eq=False)
class PaymentState:
    """All that events said of one payment, in no order."""

    bought: Bought | None = None
    held: Hold | None = None
    foreign: bool = False
    halves: dict[int, Purchase | Half] = field(default_factory=dict)
    totals: list[RefundTotal] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)

    def absorb(self, other: PaymentState) -> None:
        """Take over all that is known of another payment, which is the same."""
        self.bought = self.bought or other.bought
        self.foreign |= other.foreign
        self.halves |= other.halves
        self.hold(other.held)
        self.totals += other.totals
        self.refunds += other.refunds
        self.disputes += other.disputes

    def hold(self, hold: Hold | None) -> None:
        """Keep the held event with the largest amount; of several, the first."""
        holds = [known for known in (self.held, hold) if known]
        self.held = min(holds, key=lambda h: (-h.paid.minor, h.event_id), default=None)

    @property
    def is_granted(self) -> bool:
        """Whether coins were given for it."""
        return self.bought is not None and self.bought.hold is None

    @property
    def paid(self) -> Paid | None:
        if self.bought:
            return Paid(self.bought.paid, self.bought.currency)
        return self.held.paid if self.held else None

    @property
    def is_given_back(self) -> bool:
        """Whether all of the money was returned."""
        return self.paid is not None and 0 < self.paid.minor <= self.refunded + self.outstanding

    @property
    def refunded(self) -> int:
        """How much of the money refunds have taken by now."""
        by_id: dict[str, list[Refund]] = defaultdict(list)
        for refund in self.refunds:
            by_id[refund.refund_id].append(refund)
        total = max(self.totals, key=lambda t: (t.told_at, t.cumulative_minor), default=None)
        standing, held_by_total = 0, total.cumulative_minor if total else 0
        for told in by_id.values():
            amount = max(refund.amount_minor for refund in told)
            failures = [refund.told_at for refund in told if refund.status in UNDONE]
            if not failures:
                standing += amount
            elif total and told[0].refund_created_at <= total.told_at < min(failures):
                held_by_total -= amount
        return max(max(standing, held_by_total) - self.never_captured, 0)

    @property
    def never_captured(self) -> int:
        """What was authorised only, by the newest event; the least of several in one second."""
        told = [
            (total.told_at, -total.uncaptured_minor)
            for total in self.totals
            if total.uncaptured_minor is not None
        ]
        return -max(told)[1] if told else 0

    @property
    def outstanding(self) -> Fraction:
        """How much of the money disputes hold now."""
        return sum((self._taken_by(told) for told in self._disputes()), Fraction(0))

    @property
    def lacks_a_rate(self) -> bool:
        """Whether there is an open dispute whose amount can't be converted."""
        return any(
            newest.status not in OVER
            and self._converted(newest) is None
            and (newest.status == "lost" or any(t.amount < 0 for d in told for t in d.transactions))
            for told in self._disputes()
            for newest in [max(told, key=_age)]
        )

    def _disputes(self) -> Iterable[list[Dispute]]:
        by_id: dict[str, list[Dispute]] = defaultdict(list)
        for dispute in self.disputes:
            by_id[dispute.dispute_id].append(dispute)
        return by_id.values()

    def _taken_by(self, told: list[Dispute]) -> Fraction:
        assert self.paid
        newest = max(told, key=_age)
        amount = self._converted(newest)
        if amount is None or abs(amount - self.paid.minor) * 20 <= self.paid.minor:
            amount = Fraction(self.paid.minor) if self._is_abroad(newest) else amount
        assert amount is not None
        moved: dict[str | None, dict[str, int]] = defaultdict(dict)
        for transaction in (t for dispute in told for t in dispute.transactions):
            moved[transaction.currency][transaction.id] = transaction.amount
        ratios = [
            min(max(Fraction(-sum(amounts.values()), -min(amounts.values())), Fraction(0)), 1)
            for amounts in moved.values()
            if min(amounts.values()) < 0
        ]
        ratio = max(ratios, default=None)
        match newest.status:
            case "won" | "prevented" | "warning_closed":
                return Fraction(0)
            case "lost" if ratio is None or 1 - ratio <= Fraction(1, 20):
                return amount
            case _:
                return amount * (ratio or 0)

    def _is_abroad(self, dispute: Dispute) -> bool:
        return self.paid is not None and dispute.currency != self.paid.currency

    def _converted(self, dispute: Dispute) -> Fraction | None:
        """The amount in the payment's currency; None without a rate."""
        if self.paid is None or not self._is_abroad(dispute):
            return Fraction(dispute.amount_minor)
        theirs, ours = (
            USD_PER_UNIT.get(dispute.currency or ""),
            USD_PER_UNIT.get(self.paid.currency),
        )
        return dispute.amount_minor * theirs / ours if theirs and ours else None


def _age(dispute: Dispute) -> tuple[Any, ...]:
    """The order of what events said of a dispute, the newest last."""
    rank = 2 if dispute.status == "lost" else 1 if dispute.status in OVER else 0
    return dispute.told_at, rank, dispute.amount_minor, dispute.status, dispute.currency
