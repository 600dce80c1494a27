"""Stripe: webhooks of its payments, refunds and disputes, and the calls that we make to it.

Refuses to know the database.
"""

from tasks.providers.stripe.provider import Stripe
from tasks.providers.stripe.verify import sign

__all__ = ["Stripe", "sign"]
