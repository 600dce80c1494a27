"""The calls that we make to Stripe, by kind, and whose account the key for them is of.

Only a worker that has the key imports this module.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import structlog

from tasks.providers.calls import AccountNotOurs, CallRefused, ProviderUnreachable
from tasks.providers.reading import UNREADABLE_ERRORS, Identifier, storable
from tasks.providers.stripe.api import KeyLacksRight, StripeApi, StripeRefused, refused
from tasks.providers.stripe.refunds import make_refund
from tasks.providers.stripe.thin import FETCH_OBJECT, OBJECT_PATH

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.calls import MakeCall
    from tasks.providers.http import Answer

log = structlog.get_logger(__name__)

REFUND = "stripe.refund"
ACCOUNT_PATH = "/v1/account"
ACCOUNTS_PATH = "/v1/accounts"
# One that is connected is enough.
READ_MAX = 20
# Deeper than any object of Stripe's.
LEVELS_MAX = 30


class StripeCalls:
    """The kinds of calls, and the connections that they share."""

    def __init__(self, *, key: str, base: str, accounts: Collection[str] = ()) -> None:
        self._api = StripeApi(key=key, base=base)
        self.account = AccountCheck(self._api, accounts)
        self.by_kind: Mapping[str, MakeCall] = {
            REFUND: partial(make_refund, self._api),
            FETCH_OBJECT: partial(fetch_object, self._api),
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


class Account(msgspec.Struct):
    """The field of an account that we read."""

    id: Identifier


_ACCOUNT = msgspec.json.Decoder(Account)


class AccountCheck:
    """Compares the key's account with `accounts`, once; without any there is nothing to compare.

    A key of another account would refund there, and its list of events is of payments that are not
    ours. A platform need not list itself: its key may read the accounts that are connected to it,
    and nobody else's key may. The key's mode needs no question: it stands in the key. A key that
    may not read its account is trusted as it is.
    """

    def __init__(self, api: StripeApi, accounts: Collection[str]) -> None:
        self._api = api
        self._accounts = accounts
        self._is_done = not accounts
        self._fault: str | None = None

    async def check(self) -> None:
        """Raise AccountNotOurs if the key is of no account of ours; CallFailed if nobody says."""
        if not self._is_done:
            self._fault = await self._ask()
            self._is_done = True
        if self._fault:
            raise AccountNotOurs(self._fault)

    async def _ask(self) -> str | None:
        try:
            account = _ACCOUNT.decode((await self._api.get(ACCOUNT_PATH)).body).id
        except (KeyLacksRight, StripeRefused) as error:
            then = "it is trusted: give the key the right to read its account"
            log.warning("stripe_account_unknown", error=str(error), then=then)
            return None
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable account") from None
        if account in self._accounts or await self._reads_any():
            return None
        return f"STRIPE_API_KEY is a key of {account}, which STRIPE_ACCOUNTS does not list"

    async def _reads_any(self) -> bool:
        for account in sorted(self._accounts)[:READ_MAX]:
            try:
                await self._api.get(f"{ACCOUNTS_PATH}/{quote(account, safe='')}")
            except (KeyLacksRight, StripeRefused):
                continue
            return True
        return False


async def fetch_object(api: StripeApi, call: ProviderCall) -> dict[str, Any]:
    """Return the object that a thin event names, as it is now; asking twice does no harm."""
    path, context = call.request.get("path"), call.request.get("context")
    if not isinstance(path, str) or not OBJECT_PATH.fullmatch(path):
        raise CallRefused("the request can't be read")
    headers = {"Stripe-Context": context} if isinstance(context, str) else {}
    try:
        answer = await api.get(path, headers=headers)
        fetched = msgspec.json.decode(answer.body)
    except StripeRefused as error:
        raise refused(error) from None
    except UNREADABLE_ERRORS:
        raise ProviderUnreachable("200 and an unreadable object") from None
    if not isinstance(fetched, dict):
        raise ProviderUnreachable("200 and no object")
    try:
        stored = storable(fetched, LEVELS_MAX)
    except ValueError:
        raise ProviderUnreachable("200 and an object of too many levels") from None
    return {"object": stored, "fetched_at": _answered_at(answer)}


def _answered_at(answer: Answer) -> int:
    """Return the time of the answer by Stripe's clock, which dates its events too."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("date", "")).timestamp())
    except ValueError:
        return int(time.time())
