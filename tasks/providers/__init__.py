"""PROVIDERS: every provider of the fleet, once; a new one is its own folder and its line here.

No other module spells the name of a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.providers.app import App
from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.stripe import Stripe

if TYPE_CHECKING:
    from tasks.providers.provider import Provider

PROVIDERS: tuple[type[Provider], ...] = (Stripe, Apple, Google, App)
