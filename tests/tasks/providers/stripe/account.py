"""A small model of a Stripe account: what happens to a payment, and the events that Stripe sends.

The ledger must end where this model ends. Nothing here comes from the product: events are written
as Stripe's documentation describes them, and a buyer keeps what was captured less what was given
back.
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
    """A refund with its present status."""

    id: str
    amount: int
    created: int
    status: str = "succeeded"

    @property
    def is_valid(self) -> bool:
        """Whether the money goes back to the buyer."""
        return self.status not in ("failed", "canceled")


@dataclass(slots=True)
class AccountDispute:
    """A dispute, and the money that was moved because of it."""

    id: str
    amount: int
    status: str = "needs_response"
    moved: list[int] = field(default_factory=list)


@dataclass(slots=True)
class AccountPayment:
    """A payment: `amount` minor units were authorised, and `captured` of them were taken."""

    metadata: Mapping[str, str]
    amount: int
    captured: int
    sends_refund_events: bool = True
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
        return sum(refund.amount for refund in self.refunds if refund.is_valid)

    @property
    def given_back(self) -> int:
        """What the buyer has got back or disputes, at most all that was captured."""
        disputed = sum(
            dispute.amount
            for dispute in self.disputes
            if dispute.status == "lost" or (dispute.status != "won" and dispute.moved)
        )
        return min(self.captured, self.refunded + disputed)

    def kept_coins(self, coins: int) -> int:
        """Return how many of the bought coins the buyer keeps."""
        return coins - coins * self.given_back // self.captured

    # What happens

    def pay(self, rng: random.Random) -> None:
        """The buyer pays: an event of the intent, of the session or of both says so.

        If the money is captured by hand, the session's event says that it is not paid yet, and the
        intent may lack metadata. An event of the charge may come too; it only has names.
        """
        kinds = rng.choice([("intent",), ("session",), ("intent", "session"), ("by hand",)])
        if "by hand" in kinds:
            self._send("checkout.session.completed", self._session() | {"payment_status": "unpaid"})
            self.at += 3600
            on_intent = {name: value for name, value in self.metadata.items() if rng.random() < 0.5}
            self._send("payment_intent.succeeded", self._intent() | {"metadata": on_intent})
        if "session" in kinds:
            self._send("checkout.session.completed", self._session())
        if "intent" in kinds:
            self._send("payment_intent.succeeded", self._intent())
        if rng.random() < 0.5:
            self._send("charge.succeeded", self._charge())

    def refund(self, amount: int, *, status: str = "succeeded") -> AccountRefund:
        """The seller refunds a part or all of it."""
        self.at += 1
        refund = AccountRefund(
            f"re_life{self.number}_{len(self.refunds)}", amount, self.at, status=status
        )
        self.refunds.append(refund)
        if self.sends_refund_events:
            self._send("refund.created", self._refund(refund))
        self._send("charge.refunded", self._charge())
        return refund

    def fail(self, refund: AccountRefund, status: str = "failed") -> None:
        """The buyer's bank refuses a refund, or the refund is canceled."""
        self.at += 2
        refund.status = status
        self._send("charge.refund.updated", self._refund(refund))
        if self.sends_refund_events:
            self._send("refund.failed", self._refund(refund))

    def change_metadata(self, refund: AccountRefund) -> None:
        """Somebody changes the metadata of a refund, so an event repeats it."""
        self.at += 3
        self._send("charge.refund.updated", self._refund(refund))

    def dispute(self, amount: int) -> AccountDispute:
        """The buyer's bank takes money back until the dispute is decided."""
        self.at += 5
        dispute = AccountDispute(f"dp_life{self.number}_{len(self.disputes)}", amount)
        self.disputes.append(dispute)
        dispute.moved.append(-amount)
        self._send("charge.dispute.created", self._dispute(dispute))
        self._send("charge.dispute.funds_withdrawn", self._dispute(dispute))
        return dispute

    def decide(self, dispute: AccountDispute, *, won: bool, converted: float = 1.0) -> None:
        """The bank decides; money that comes back may be converted at another rate."""
        self.at += 5
        dispute.status = "won" if won else "lost"
        if won:
            dispute.moved.append(int(dispute.amount * converted))
            self._send("charge.dispute.funds_reinstated", self._dispute(dispute))
        self._send("charge.dispute.closed", self._dispute(dispute))

    # Events

    def _send(self, event_type: str, sent: Mapping[str, Any]) -> None:
        self.events.append(
            {
                "id": f"evt_life{self.number}_{len(self.events)}",
                "object": "event",
                "api_version": "2025-09-30.clover",
                "created": self.at,
                "livemode": False,
                "type": event_type,
                "data": {"object": dict(sent)},
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


def random_payment(rng: random.Random, metadata: Mapping[str, str], price: int) -> AccountPayment:
    """Return a payment of `price` to which random things have happened."""
    payment = AccountPayment(
        metadata,
        amount=rng.choice([price, price, price + price // 2]),
        captured=price,
        sends_refund_events=rng.random() < 0.7,
    )
    payment.pay(rng)
    for _ in range(rng.randint(0, 5)):
        payment.at += rng.randint(1, 90)
        left = payment.captured - payment.given_back
        valid = [refund for refund in payment.refunds if refund.is_valid]
        open_disputes = [each for each in payment.disputes if each.status == "needs_response"]
        match rng.choice(("refund", "fail", "metadata", "dispute", "decide")):
            case "refund" if left:
                payment.refund(rng.choice([left, rng.randint(1, left)]))
            case "fail" if valid:
                payment.fail(rng.choice(valid), rng.choice(["failed", "canceled"]))
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
