"""MOCKS: every mock of a provider, once, and the settings that point a fleet at all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.mock_providers.app_listener import MockListener
from workers.mock_providers.apple.account import MockApple
from workers.mock_providers.google.account import MockGoogle
from workers.mock_providers.stripe_account import MockStripe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workers.mock_providers.mock import Mock

MOCKS: tuple[Mock, ...] = (MockStripe(), MockApple(), MockGoogle(), MockListener())


def settings_for(ports: Mapping[str, int], folder: Path) -> dict[str, str]:
    """Return the settings of a fleet whose providers listen at these ports of this machine."""
    found: dict[str, str] = {}
    for mock in MOCKS:
        found |= mock.settings(f"http://127.0.0.1:{ports[mock.name]}", folder)
    return found
