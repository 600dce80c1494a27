"""The providers of this process, each built from its settings once, when the process starts.

Knows no provider by name: a setting belongs to the provider with whose name it begins.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

from tasks.providers import PROVIDERS

if TYPE_CHECKING:
    from tasks.providers.provider import Provider
    from workers.settings import Settings


def build_providers(settings: Settings) -> dict[str, Provider]:
    """Return each provider of PROVIDERS by its name.

    Its parameter `livemode` is the setting `<name>_livemode`. Raises AttributeError for a parameter
    that has no setting, so that a test finds it, not an event.
    """
    return {
        provider.name: provider(
            **{
                parameter: getattr(settings, f"{provider.name}_{parameter}")
                for parameter in signature(provider).parameters
            }
        )
        for provider in PROVIDERS
    }
