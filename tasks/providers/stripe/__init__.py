"""Stripe's door: proves that a webhook is Stripe's, and says what it means for coins.

Refuses to call Stripe or the database.
"""

from tasks.providers.stripe.interpret import interpret
from tasks.providers.stripe.verify import PROVIDER, sign, verify

__all__ = ["PROVIDER", "interpret", "sign", "verify"]
