"""The calls that we make to Stripe, by kind. Only a worker that has the key imports this module."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers.calls import CallRefused, ProviderUnreachable
from tasks.providers.reading import storable
from tasks.providers.stripe.api import StripeApi, StripeRefused, refused
from tasks.providers.stripe.refunds import make_refund
from tasks.providers.stripe.thin import FETCH_OBJECT, OBJECT_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.calls import MakeCall
    from tasks.providers.http import Answer

REFUND = "stripe.refund"
# Deeper than any object of Stripe's.
LEVELS_MAX = 30


class StripeCalls:
    """The kinds of calls, and the connections that they share."""

    def __init__(self, *, key: str, base: str) -> None:
        self._api = StripeApi(key=key, base=base)
        self.by_kind: Mapping[str, MakeCall] = {
            REFUND: partial(make_refund, self._api),
            FETCH_OBJECT: partial(fetch_object, self._api),
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


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
    except (ValueError, RecursionError):
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
