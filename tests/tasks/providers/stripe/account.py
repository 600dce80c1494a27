"""A Stripe account in miniature: what happens to a payment there, and the events that tell of it.

Its own state is the truth that the ledger must end at. Nothing here comes from the product: events
are written as Stripe's documentation describes them, and what a buyer keeps is what was captured,
less what was given back, as the account itself knows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

_numbers = count(1)

Event = dict[str, Any]


@dataclass(slots=True)
class AccountRefund:
    """A refund as the account has it."""

    id: str
    amount: int
    created: int
    status: str = "succeeded"

    @property
    def stands(self) -> bool:
        """Whether the money goes back to the buyer."""
        return self.status not in ("failed", "canceled")


@dataclass(slots=True)
class AccountDispute:
    """A dispute; Stripe moves its money in balance transactions."""

    id: str
    amount: int
    status: str = "needs_response"
    moved: list[int] = field(default_factory=list)


@dataclass(slots=True)
class AccountPayment:
    """One payment of `amount` minor units, of which `captured` were taken."""

    metadata: Mapping[str, str]
    amount: int
    captured: int
    refunds_told_by_id: bool = True
    at: int = 1_763_788_800
    number: int = field(default_factory=lambda: next(_numbers))
    refunds: list[AccountRefund] = field(default_factory=list)
    disputes: list[AccountDispute] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def intent(self) -> str:
        """The payment intent's id."""
        return f"pi_life{self.number}"

    @property
    def charge_id(self) -> str:
        """The charge's id."""
        return f"ch_life{self.number}"

    @property
    def session_id(self) -> str:
        """The checkout session's id."""
        return f"cs_test_life{self.number}"

    @property
    def refunded(self) -> int:
        """What refunds give back."""
        return sum(refund.amount for refund in self.refunds if refund.stands)

    @property
    def given_back(self) -> int:
        """What the buyer has got back or disputes, at most all of it."""
        disputed = sum(
            dispute.amount
            for dispute in self.disputes
            if dispute.status == "lost" or (dispute.status != "won" and dispute.moved)
        )
        return min(self.captured, self.refunded + disputed)

    def kept_coins(self, coins: int) -> int:
        """How many of the coins bought with this payment the buyer keeps."""
        return coins - coins * self.given_back // self.captured

    # What happens

    def pay(self, rng: random.Random) -> None:
        """The buyer pays; either event, or both, tell of it, and the charge's own tells names.

        What is captured by hand is told by an intent that need not carry the metadata, and its
        session was not paid yet.
        """
        told = rng.choice([("intent",), ("session",), ("intent", "session"), ("by hand",)])
        if "by hand" in told:
            self._tell("checkout.session.completed", self._session() | {"payment_status": "unpaid"})
            self.at += 3600
            on_intent = {name: value for name, value in self.metadata.items() if rng.random() < 0.5}
            self._tell("payment_intent.succeeded", self._intent() | {"metadata": on_intent})
        if "session" in told:
            self._tell("checkout.session.completed", self._session())
        if "intent" in told:
            self._tell("payment_intent.succeeded", self._intent())
        if rng.random() < 0.5:
            self._tell("charge.succeeded", self._charge())

    def refund(self, amount: int, *, status: str = "succeeded") -> AccountRefund:
        """The seller gives something back."""
        self.at += 1
        refund = AccountRefund(
            f"re_life{self.number}_{len(self.refunds)}", amount, self.at, status=status
        )
        self.refunds.append(refund)
        if self.refunds_told_by_id:
            self._tell("refund.created", self._refund(refund))
        self._tell("charge.refunded", self._charge())
        return refund

    def fail(self, refund: AccountRefund, status: str = "failed") -> None:
        """The buyer's bank sends a refund back, or it is canceled."""
        self.at += 2
        refund.status = status
        self._tell("charge.refund.updated", self._refund(refund))
        if self.refunds_told_by_id:
            self._tell("refund.failed", self._refund(refund))

    def change_metadata(self, refund: AccountRefund) -> None:
        """Somebody writes a note to a refund: it is told again as it is."""
        self.at += 3
        self._tell("charge.refund.updated", self._refund(refund))

    def dispute(self, amount: int) -> AccountDispute:
        """The buyer's bank takes money back, for now."""
        self.at += 5
        dispute = AccountDispute(f"dp_life{self.number}_{len(self.disputes)}", amount)
        self.disputes.append(dispute)
        dispute.moved.append(-amount)
        self._tell("charge.dispute.created", self._dispute(dispute))
        self._tell("charge.dispute.funds_withdrawn", self._dispute(dispute))
        return dispute

    def decide(self, dispute: AccountDispute, *, won: bool, converted: float = 1.0) -> None:
        """The bank decides; what comes back may have been converted at another rate."""
        self.at += 5
        dispute.status = "won" if won else "lost"
        if won:
            dispute.moved.append(int(dispute.amount * converted))
            self._tell("charge.dispute.funds_reinstated", self._dispute(dispute))
        self._tell("charge.dispute.closed", self._dispute(dispute))

    # How it is told

    def _tell(self, event_type: str, told: Mapping[str, Any]) -> None:
        self.events.append(
            {
                "id": f"evt_life{self.number}_{len(self.events)}",
                "object": "event",
                "api_version": "2025-09-30.clover",
                "created": self.at,
                "livemode": False,
                "type": event_type,
                "data": {"object": dict(told)},
            }
        )

    def _intent(self) -> Event:
        return {
            "id": self.intent,
            "object": "payment_intent",
            "status": "succeeded",
            "amount": self.amount,
            "amount_received": self.captured,
            "currency": "usd",
            "created": self.at - 60,
            "latest_charge": self.charge_id,
            "metadata": dict(self.metadata),
        }

    def _session(self) -> Event:
        return {
            "id": self.session_id,
            "object": "checkout.session",
            "mode": "payment",
            "status": "complete",
            "payment_status": "paid",
            "amount_subtotal": self.captured,
            "amount_total": self.captured,
            "currency": "usd",
            "payment_intent": self.intent,
            "metadata": dict(self.metadata),
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        }

    def _charge(self) -> Event:
        released = self.amount - self.captured
        return {
            "id": self.charge_id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.captured,
            "amount_refunded": self.refunded + released,
            "captured": True,
            "currency": "usd",
            "created": self.at,
            "paid": True,
            "status": "succeeded",
            "payment_intent": self.intent,
            "metadata": {},
        }

    def _refund(self, refund: AccountRefund) -> Event:
        return {
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount,
            "created": refund.created,
            "currency": "usd",
            "status": refund.status,
            "charge": self.charge_id,
            "payment_intent": self.intent,
        }

    def _dispute(self, dispute: AccountDispute) -> Event:
        return {
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "currency": "usd",
            "status": dispute.status,
            "created": self.at,
            "charge": self.charge_id,
            "payment_intent": self.intent,
            "balance_transactions": [
                {
                    "id": f"txn_{dispute.id}_{number}",
                    "object": "balance_transaction",
                    "amount": amount,
                    "currency": "usd",
                }
                for number, amount in enumerate(dispute.moved)
            ],
        }


def live(rng: random.Random, metadata: Mapping[str, str], price: int) -> AccountPayment:
    """Let a payment of `price` go through a life of random turns, and return it."""
    payment = AccountPayment(
        metadata,
        amount=rng.choice([price, price, price + price // 2]),
        captured=price,
        refunds_told_by_id=rng.random() < 0.7,
    )
    payment.pay(rng)
    for _ in range(rng.randint(0, 5)):
        payment.at += rng.randint(1, 90)
        left = payment.captured - payment.given_back
        standing = [refund for refund in payment.refunds if refund.stands]
        open_disputes = [each for each in payment.disputes if each.status == "needs_response"]
        match rng.choice(("refund", "fail", "metadata", "dispute", "decide")):
            case "refund" if left:
                payment.refund(rng.choice([left, rng.randint(1, left)]))
            case "fail" if standing:
                payment.fail(rng.choice(standing), rng.choice(["failed", "canceled"]))
            case "metadata" if payment.refunds:
                payment.change_metadata(rng.choice(payment.refunds))
            case "dispute" if left and not payment.disputes:
                payment.dispute(rng.choice([left, rng.randint(1, left)]))
            case "decide" if open_disputes:
                won = rng.random() < 0.5
                payment.decide(open_disputes[0], won=won, converted=rng.uniform(0.96, 1.0))
            case _:
                pass
    return payment
