"""Events of Stripe that take a payment's money back, minute by minute after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.db.books import NOON
from workers.cli.simulate import stripe as made

if TYPE_CHECKING:
    from workers.cli.simulate.stripe import StripePayment

Event = dict[str, Any]

PAID_S = int(NOON.timestamp())


def total(payment: StripePayment, minor: int, minute: int, **changes: object) -> Event:
    event = made.charge_refunded(payment, amount_refunded=minor, created_s=PAID_S + 60 * minute)
    event["id"] += f"_{minute}"
    event["data"]["object"] |= changes
    return event


def refund(payment: StripePayment, minor: int, minute: int, status: str, **changes: Any) -> Event:
    event = made.refund_event(
        payment,
        "refund.updated",
        refund_id=f"re_{payment.key}_{minor}",
        amount_minor=minor,
        status=status,
        created_s=PAID_S + 60 * minute,
    )
    event["data"]["object"] |= {"created": PAID_S + 60} | changes
    return event


def dispute(payment: StripePayment, minute: int, status: str, *moved: int) -> Event:
    return made.dispute_event(
        payment,
        "charge.dispute.updated",
        dispute_id=f"dp_{payment.key}",
        status=status,
        balance_transactions=[(f"txn_{payment.key}_{n}", m) for n, m in enumerate(moved)],
        created_s=PAID_S + 60 * minute,
        event_id=f"evt_dp_{payment.key}_{minute}",
    )
