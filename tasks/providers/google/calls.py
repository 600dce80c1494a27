"""The calls that we make to Google, by kind. Only a worker that has the key imports this module."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers.calls import CallFailed, CallRefused
from tasks.providers.google.api import GONE, GoogleApi, GoogleRefused, refused
from tasks.providers.google.confirmation import acknowledge, consume
from tasks.providers.google.objects import Package, Token
from tasks.providers.google.purchases import FETCH_PURCHASE
from tasks.providers.google.refunds import make_refund, review_refund
from tasks.providers.reading import storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.calls import MakeCall
    from tasks.providers.google.objects import Order, ProductPurchase

# Deeper than what we read of any answer.
LEVELS_MAX = 10
# Google answers so for a token of another app, and for a text that is none.
OF_ANOTHER_APP = (400, *GONE)


class PurchaseRequest(msgspec.Struct):
    """The request of a call: the token, and the apps that may have sold it, with commas."""

    package: str
    token: Token


class GoogleCalls:
    """The kinds of calls, and the connections that they share."""

    def __init__(self, *, account: Path, base: str, fetch_price: bool) -> None:
        self._api = GoogleApi(account=account, base=base)
        self.by_kind: Mapping[str, MakeCall] = {
            FETCH_PURCHASE: partial(fetch_purchase, self._api, fetch_price=fetch_price),
            "google.acknowledge": partial(acknowledge, self._api),
            "google.consume": partial(consume, self._api),
            "google.refund": partial(make_refund, self._api),
            "google.review_refund": partial(review_refund, self._api),
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


async def fetch_purchase(
    api: GoogleApi, call: ProviderCall, *, fetch_price: bool
) -> dict[str, Any]:
    """Return the purchase with a token as it is now, or that Google knows none.

    With `fetch_price` its order too, which alone says what was paid. Asking twice does no harm.
    """
    try:
        request = msgspec.convert(call.request, PurchaseRequest)
        packages = [msgspec.convert(each, Package) for each in request.package.split(",")]
    except msgspec.ValidationError:
        raise CallRefused("the request can't be read") from None
    unknown = GONE[0]
    for package in packages:
        try:
            purchase = await api.read_purchase(package, request.token)
        except GoogleRefused as error:
            if error.status not in OF_ANOTHER_APP:
                raise refused(error) from None
            unknown = error.status
            continue
        order = await _order_of(api, package, purchase) if fetch_price else None
        return {
            "package": package,
            # A client chooses some of these texts.
            "purchase": storable(msgspec.to_builtins(purchase), LEVELS_MAX),
            "order": storable(msgspec.to_builtins(order), LEVELS_MAX),
            "read_at": int(time.time()),
        }
    return {"unknown": unknown, "read_at": int(time.time())}


async def _order_of(api: GoogleApi, package: str, purchase: ProductPurchase) -> Order | None:
    """Return the order of a purchase; None without one, or without the right to read it."""
    if purchase.order_id is None:
        return None
    try:
        return await api.read_order(package, purchase.order_id)
    except GoogleRefused:
        return None
    except CallFailed as error:
        # Financial data need a right of their own. The price is for guardrails; coins go on.
        if str(error).startswith("403"):
            return None
        raise
