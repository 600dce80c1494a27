"""Stripe: webhooks of its payments, refunds and disputes.

Refuses to call Stripe or the database.
"""

from tasks.providers.stripe.provider import Stripe
from tasks.providers.stripe.verify import sign

__all__ = ["Stripe", "sign"]
