"""What the contract says of freezes, as a model in memory: written from it, not from the SQL.

A payment is 1,000 coins for 10.00, so a cent is a coin; times are minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tests.db.books import Payment

if TYPE_CHECKING:
    from db.facts import Fact

COINS = 1_000
# People approve by the database's clock: a warning of long ago would have ended by then.
START = datetime.now(UTC).replace(microsecond=0)
WARNING, REVIEW = "early_fraud_warning", "review"
# Stripe's statuses of an inquiry that is open.
OPEN_INQUIRY = ("warning_needs_response", "warning_under_review")


def at(minute: int) -> datetime:
    """The provider's time."""
    return START + timedelta(minutes=minute)


class Told(NamedTuple):
    """One event of a payment: what it is of, when it was told, and what it says."""

    kind: str
    no: int
    opened: int
    told: int
    status: str
    amount: int = 0

    def fact(self, payment: Payment) -> Fact:
        """What Stripe's event would say."""
        match self.kind:
            case "warning" | "review":
                return payment.freeze(
                    f"{self.kind}{self.no}",
                    source=WARNING if self.kind == "warning" else REVIEW,
                    is_open=self.status == "open",
                    opened_at=at(self.opened),
                    told_at=at(self.told),
                )
            case "dispute":
                taken = () if self.status.startswith("warning") else (-self.amount,)
                return payment.dispute(
                    self.amount,
                    *taken,
                    dispute_id=f"du{self.no}",
                    status=self.status,
                    opened_at=at(self.opened),
                    told_at=at(self.told),
                )
            case _:
                return payment.refund(
                    self.amount,
                    f"re{self.no}",
                    self.status,
                    refund_created_at=at(self.opened),
                    told_at=at(self.told),
                )


@dataclass
class Account:
    """One payment and what was told of it; repetitions and order are nothing to a set."""

    is_granted: bool = False
    events: set[Told] = field(default_factory=set)
    released: set[tuple[str, int]] = field(default_factory=set)

    def newest(self, kind: str) -> list[Told]:
        """The event that counts of each warning, review, dispute or refund of this kind."""
        found: dict[int, Told] = {}
        for event in sorted(self.events, key=lambda e: (e.told, _rank(e), e.status)):
            if event.kind == kind:
                found[event.no] = event
        return list(found.values())

    def refunds(self) -> list[Told]:
        """The refunds that stand: the furthest status of each counts, whenever it was told."""
        furthest: dict[int, Told] = {}
        for event in sorted(self.events, key=_rank):
            if event.kind == "refund":
                furthest[event.no] = event
        return [each for each in furthest.values() if each.status != "failed"]

    @property
    def taken(self) -> int:
        """The coins that refunds and disputes take of a granted purchase."""
        disputed = sum(
            each.amount
            for each in self.newest("dispute")
            if not each.status.startswith("warning") and each.status != "won"
        )
        return min(COINS, sum(each.amount for each in self.refunds()) + disputed)

    def is_open(self, event: Told) -> bool:
        """Whether it freezes, by all that was told of the payment."""
        if event.kind == "dispute":
            if event.status not in OPEN_INQUIRY:
                return False
        elif event.status != "open":
            return False
        if (event.kind, event.no) in self.released or self.taken == COINS:
            return False
        if any(not each.status.startswith("warning") for each in self.newest("dispute")):
            return False
        return not any(refund.opened >= event.opened for refund in self.refunds())

    def open_freezes(self) -> set[tuple[str, int]]:
        """What freezes the payment now."""
        told = [*self.newest("warning"), *self.newest("review"), *self.newest("dispute")]
        return {(each.kind, each.no) for each in told if self.is_open(each)}

    @property
    def left(self) -> int:
        """The coins that it granted, less what was taken back."""
        return COINS - self.taken if self.is_granted else 0

    @property
    def frozen(self) -> int:
        """The coins that can't be spent: once, however many freezes there are."""
        return self.left if self.open_freezes() else 0


def _rank(event: Told) -> int:
    """Of two told in one second the higher one counts: closed beats open, lost beats won."""
    ranks = {"closed": 1, "won": 1, "warning_closed": 1, "lost": 2, "pending": 1, "succeeded": 2}
    return 3 if event.status == "failed" else ranks.get(event.status, 0)
