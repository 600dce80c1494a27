"""Apple's App Store: its server notifications, its API, and what its transactions mean for coins.

Refuses subscriptions and everything that is no consumable: coins are consumables.
"""

from tasks.providers.apple.provider import Apple

__all__ = ["Apple"]
