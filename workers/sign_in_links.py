"""Links that sign in to the console: `coinfleet up` prints one per role at each start.

A link is good as long as that fleet runs: the next start has another secret. Only for a fleet with
its own database, on this machine.
"""

from __future__ import annotations

from enum import StrEnum

from itsdangerous import BadData, URLSafeSerializer

PATH = "/sign-in/link"
_SALT = "coinfleet console link"
_LENGTH_MAX = 500


class Role(StrEnum):
    """What `app_metadata.coinfleet_role` may say, and what a link may be for."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


def make_links(url: str, secret: str) -> dict[Role, str]:
    """Return a link per role to the console at this address."""
    signer = URLSafeSerializer(secret, salt=_SALT)
    return {role: f"{url}{PATH}/{signer.dumps(role.value)}" for role in Role}


def read_link(token: str, secret: str) -> Role | None:
    """Return the role that a link of ours is for; None for any other text."""
    if len(token) > _LENGTH_MAX:
        return None
    try:
        return Role(URLSafeSerializer(secret, salt=_SALT).loads(token))
    except (BadData, ValueError, TypeError):
        return None
