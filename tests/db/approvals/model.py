"""What a held payment should come to, in plain Python: facts and decisions in any order.

It follows CONTRACT ("States of an inbox event", "Decisions"), not the functions of db/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.db.books import Outcome

RANKS = ["pending", "succeeded", "failed"]
Answer = str | None


@dataclass
class Model:
    """One payment that is held, from whatever happened to it so far.

    A decision returns the SQLSTATE of its refusal, or what it waits for.
    """

    hold: Literal["needs_approval", "wrong_amount", "unknown_product", "unknown_buyer"]
    paid: int
    """In minor units."""
    worth: int | None
    """The coins of its package; None while there is no package."""
    needs_two: bool
    has_come: bool = False
    refunds: dict[str, tuple[int, str]] = field(default_factory=dict)
    granted: int | None = None
    rejected: Literal["refund", "closed"] | None = None
    first: int | None = None
    deciders: set[str] = field(default_factory=set)
    attributed_by: str | None = None

    # Facts

    def come(self) -> None:
        """An event of the purchase comes: with its package listed by now, nothing is wrong.

        Unless somebody has begun to decide, or all of a purchase that is held went back.
        """
        is_priced = self.hold == "unknown_product" and self.worth is not None
        if is_priced and self.first is None and not (self.has_come and self.is_decided):
            self.granted = self.worth
        self.has_come = True

    def refund(self, refund_id: str, amount: int, status: str) -> None:
        """A refund is told; its furthest status counts."""
        _, before = self.refunds.get(refund_id, (amount, status))
        self.refunds[refund_id] = (amount, max(before, status, key=RANKS.index))

    @property
    def refunded(self) -> int:
        """What of it went back."""
        standing = sum(amount for amount, status in self.refunds.values() if status != "failed")
        return min(self.paid, standing)

    @property
    def is_whole(self) -> bool:
        """Whether all of it went back."""
        return self.refunded >= self.paid

    # Decisions

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to decide now."""
        return self.granted is not None or self.rejected is not None or self.is_whole

    def approve(self, who: str, coins: int | None) -> Answer:
        """Two people approve the same coins where two are needed; one rejects."""
        if who in self.deciders:
            return "CF011"
        if self.is_decided:
            return "CF012"
        if self.worth is None:
            return "CF013"
        if coins is not None and self.hold == "needs_approval" and coins != self.worth:
            return "22023"
        return self._approve(who, coins or self.first or self.worth)

    def _approve(self, who: str, coins: int) -> Answer:
        if self.needs_two and self.first not in (None, coins):
            return "CF012"
        self.deciders.add(who)
        if self.needs_two and self.first is None:
            self.first = coins
            return "second_approver"
        self.granted = coins
        return None

    def reject(self, who: str, *, without_refund: bool) -> Answer:
        """A rejection refunds, unless it says otherwise."""
        if who in self.deciders:
            return "CF011"
        if self.is_decided:
            return "CF012"
        self.deciders.add(who)
        self.rejected = "closed" if without_refund else "refund"
        return None if without_refund else "refund"

    def attribute(self, who: str) -> Answer:
        """Once, somebody says whose it is; then it is granted, for nothing else is wrong."""
        if who == self.attributed_by:
            return "CF011"
        if self.is_decided:
            return "CF012"
        self.attributed_by = who
        self.granted = self.worth
        return None

    # What is seen

    @property
    def outcome(self) -> Outcome:
        """The state of its first event."""
        if self.granted is not None:
            return Outcome("applied")
        if self.rejected == "closed" or (self.rejected and self.is_whole):
            return Outcome("rejected", "by_decision")
        if self.is_whole:
            return Outcome("applied", "refunded_while_held")
        return Outcome("held", self.hold)

    @property
    def coins(self) -> int:
        """What its buyer has of it."""
        if self.granted is None or self.is_whole:
            return 0
        return self.granted - self.granted * self.refunded // self.paid

    @property
    def status(self) -> str | None:
        """The status of its purchase, if it has one."""
        if self.hold == "unknown_buyer" and self.granted is None:
            return None
        if self.is_whole:
            return "refunded"
        return "pending" if self.granted is None else "confirmed"
