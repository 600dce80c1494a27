"""Why a request is not known to come from a signed-in user. Says nothing of the token."""

from __future__ import annotations

from typing import Literal, TypeAlias

from db.errors import CoinfleetError

Cause: TypeAlias = Literal["missing", "unreadable", "no_match", "expired", "not_a_user"]


class NotSignedIn(CoinfleetError):
    """The request has no access token of a user that is good now; `cause` is for metrics alone."""

    def __init__(self, cause: Cause) -> None:
        super().__init__()
        self.cause = cause


class KeysUnavailable(CoinfleetError):
    """The public keys can't be had just now, so nobody knows whether the token is good."""
