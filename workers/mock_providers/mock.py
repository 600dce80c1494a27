"""What a mock is to the process that runs it, and to the fleet that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.applications import Starlette

    from workers.mock_providers.sender import Sender
    from workers.settings import Settings


class Mock(Protocol):
    """One provider's API as a server on this machine; its module has one of these."""

    name: str
    """The provider's."""

    def settings(self, base: str, folder: Path) -> Mapping[str, str]:
        """Return the settings that point a fleet at the server at `base`.

        Keys are of no worth. What needs a file is written to `folder`.
        """
        ...

    def make_server(self, settings: Settings, sender: Sender, folder: Path) -> Starlette:
        """Return the server; what it tells the fleet of goes by `sender`."""
        ...
