"""Stripe's webhook events about one simulated payment, as its API of 2025 writes them.

Each function returns the event as JSON values; nothing is signed or sent here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.cli.simulate.stripe.objects import (
    charge,
    checkout_session,
    dispute,
    payment_intent,
    refund,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workers.cli.simulate.stripe.payment import StripePayment

API_VERSION = "2025-09-30.clover"


def stripe_event(
    payment: StripePayment,
    event_type: str,
    stripe_object: Mapping[str, Any],
    *,
    event_id: str | None = None,
    created_s: int | None = None,
) -> dict[str, Any]:
    """Wrap an object in the event that announces it; a payment has one id per type by default."""
    return {
        "id": event_id or f"evt_{payment.key}_{event_type.replace('.', '_')}",
        "object": "event",
        "api_version": API_VERSION,
        "created": payment.created_s if created_s is None else created_s,
        "data": {"object": stripe_object},
        "livemode": payment.livemode,
        "pending_webhooks": 1,
        "request": {"id": f"req_{payment.key}"[:18], "idempotency_key": f"idem-{payment.key}"},
        "type": event_type,
    }


def payment_intent_succeeded(payment: StripePayment, **event: Any) -> dict[str, Any]:
    """The money has arrived. `event` goes to `stripe_event`, here and below."""
    return stripe_event(payment, "payment_intent.succeeded", payment_intent(payment), **event)


def checkout_session_completed(
    payment: StripePayment, *, changes: Mapping[str, Any] | None = None, **event: Any
) -> dict[str, Any]:
    """The buyer went through a checkout; `changes` may leave it unpaid."""
    session = checkout_session(payment) | dict(changes or {})
    return stripe_event(payment, "checkout.session.completed", session, **event)


def checkout_session_async_payment_succeeded(
    payment: StripePayment, *, changes: Mapping[str, Any] | None = None, **event: Any
) -> dict[str, Any]:
    """A bank transfer or the like came through, perhaps days later."""
    session = checkout_session(payment) | dict(changes or {})
    return stripe_event(payment, "checkout.session.async_payment_succeeded", session, **event)


def charge_refunded(
    payment: StripePayment, *, amount_refunded: int, **event: Any
) -> dict[str, Any]:
    """All refunds so far amount to `amount_refunded`."""
    refunded = charge(payment) | {
        "amount_refunded": amount_refunded,
        "refunded": amount_refunded == payment.amount_minor,
    }
    event.setdefault("event_id", f"evt_{payment.key}_refunded_{amount_refunded}")
    return stripe_event(payment, "charge.refunded", refunded, **event)


def refund_event(
    payment: StripePayment,
    event_type: str = "refund.created",
    *,
    refund_id: str,
    amount_minor: int,
    status: str = "succeeded",
    **event: Any,
) -> dict[str, Any]:
    """One refund changed: `refund.created|updated|failed` or `charge.refund.updated`."""
    event.setdefault("event_id", f"evt_{refund_id}_{event_type.replace('.', '_')}_{status}")
    refunded = refund(payment, refund_id=refund_id, amount_minor=amount_minor, status=status)
    return stripe_event(payment, event_type, refunded, **event)


def dispute_event(
    payment: StripePayment,
    event_type: str = "charge.dispute.created",
    *,
    dispute_id: str,
    status: str = "needs_response",
    amount_minor: int | None = None,
    balance_transactions: Sequence[tuple[str, int]] = (),
    **event: Any,
) -> dict[str, Any]:
    """A dispute changed: `charge.dispute.created|updated|funds_withdrawn|funds_reinstated|closed`.

    `balance_transactions` are (id, amount), a withdrawal negative; an inquiry has none.
    """
    event.setdefault("event_id", f"evt_{dispute_id}_{event_type.replace('.', '_')}")
    disputed = dispute(
        payment,
        dispute_id=dispute_id,
        status=status,
        amount_minor=payment.amount_minor if amount_minor is None else amount_minor,
        balance_transactions=balance_transactions,
    )
    return stripe_event(payment, event_type, disputed, **event)
