"""What a call to a provider is to the fleet, and the ways in which it may fail.

An error says what happens to the call. Its text is a status or a code, never a part of an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from db.errors import CoinfleetError
from db.outbox.provider_calls import ProviderCall

# It must be harmless to make a call twice: its key is the provider's idempotency key, or it looks
# before it acts if `is_retry`. What it returns is stored as the answer.
MakeCall: TypeAlias = Callable[[ProviderCall], Awaitable[dict[str, Any]]]


class CallFailed(CoinfleetError):
    """The call did not succeed just now, and is made again after a pause.

    The provider works, so other calls go on. `retry_after_s` is what it asked for.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class ProviderUnreachable(CallFailed):
    """The provider gave no answer, or one that only a broken server gives: no call succeeds."""


class ProviderThrottled(CallFailed):
    """The provider wants fewer calls for a while, of all kinds."""


class KeyRefused(CallFailed):
    """The provider does not accept our key: a person must look, and no call succeeds until then."""


class CallsUnwanted(CoinfleetError):
    """Whoever answers calls of this kind wants no more: all of them wait until a person says so."""


class CallRefused(CoinfleetError):
    """The provider refuses this call, and would refuse it again: a person must look."""


class AccountNotOurs(CoinfleetError):
    """Our key is of an account that is not ours: nothing is asked of the provider with it.

    Its text names the setting and the account.
    """
