"""Stripe's payments, objects and events for the simulator, the bench and the tests."""

from workers.cli.simulate.stripe.events import (
    API_VERSION,
    charge_refunded,
    checkout_session_async_payment_succeeded,
    checkout_session_completed,
    dispute_event,
    payment_intent_succeeded,
    refund_event,
    stripe_event,
)
from workers.cli.simulate.stripe.objects import (
    charge,
    checkout_session,
    dispute,
    payment_intent,
    refund,
)
from workers.cli.simulate.stripe.payment import StripePayment

__all__ = [
    "API_VERSION",
    "StripePayment",
    "charge",
    "charge_refunded",
    "checkout_session",
    "checkout_session_async_payment_succeeded",
    "checkout_session_completed",
    "dispute",
    "dispute_event",
    "payment_intent",
    "payment_intent_succeeded",
    "refund",
    "refund_event",
    "stripe_event",
]
