"""What every page uses while the process runs: the database, the settings, the templates, the feed.

Opened once by application.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from db.connections.pool import Pool
    from tasks.sign_in.accounts import Accounts
    from tasks.sign_in.forwarded import ForwardedTokens
    from workers.console.attempts import Attempts, UsedCodes
    from workers.console.feed import Feed
    from workers.console.rights import Right
    from workers.outage import Outage
    from workers.serving.repeats import Repeats
    from workers.settings import Settings


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A page in the menu of whoever has the right to it."""

    path: str
    title: str
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """`accounts` and `forwarded` are None if people do not sign in that way."""

    pool: Pool
    settings: Settings
    templates: Environment
    feed: Feed
    attempts: Attempts
    used_codes: UsedCodes
    refusals: Repeats
    sign_in_outage: Outage
    menu: Sequence[MenuItem] = ()
    accounts: Accounts | None = None
    forwarded: ForwardedTokens | None = None

    @property
    def test_mode(self) -> str:
        """What the banner says, empty in live mode."""
        if _is_local(self.settings.stripe_api_base):
            return "Test mode: providers are mocks on this machine, nobody is charged."
        if not self.settings.stripe_livemode:
            return "Test mode: STRIPE_LIVEMODE is false, so only test payments count."
        return ""


def _is_local(base: str) -> bool:
    return base.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
