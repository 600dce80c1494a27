"""Acknowledging and consuming: Google is told what became of a purchase.

Google refunds by itself what is not acknowledged within three days. Neither request may be
repeated there (PROVIDERS 0.10): whoever repeats one is refused, and looks what became of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

from tasks.providers.calls import CallRefused
from tasks.providers.google.api import GONE, GoogleApi, GoogleRefused, quoted, refused
from tasks.providers.google.objects import Package, Token
from tasks.providers.google.purchases import ACKNOWLEDGED, CONSUMED

if TYPE_CHECKING:
    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.google.objects import ProductPurchase

Verb: TypeAlias = Literal["acknowledge", "consume"]


class ConfirmationRequest(msgspec.Struct):
    """The request of a call: what is confirmed."""

    package: Package
    token: Token
    product_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]


async def acknowledge(api: GoogleApi, call: ProviderCall) -> dict[str, Any]:
    """Tell Google that a purchase was received, so that it is not refunded while it is held."""
    return await _confirm(api, call, "acknowledge")


async def consume(api: GoogleApi, call: ProviderCall) -> dict[str, Any]:
    """Tell Google that a purchase was granted, so that it is kept and may be made again."""
    return await _confirm(api, call, "consume")


async def _confirm(api: GoogleApi, call: ProviderCall, verb: Verb) -> dict[str, Any]:
    try:
        request = msgspec.convert(call.request, ConfirmationRequest)
    except msgspec.ValidationError:
        raise CallRefused("the request can't be read") from None
    for product_id in request.product_ids:
        path = (
            f"{quoted(request.package)}/purchases/products/{quoted(product_id)}"
            f"/tokens/{quoted(request.token)}:{verb}"
        )
        try:
            await api.send("POST", path, b"{}" if verb == "acknowledge" else b"")
        except GoogleRefused as error:
            if error.status in GONE:
                return {"note": "gone"}
            if (note := await _look(api, request, product_id, verb)) is None:
                raise refused(error) from None
            if note != "done_before":
                return {"note": note}
    return {"done": verb}


async def _look(
    api: GoogleApi, request: ConfirmationRequest, product_id: str, verb: Verb
) -> str | None:
    """Return why nothing is left to do for a product; None if that is not so."""
    try:
        purchase = await api.read_purchase(request.package, request.token)
    except GoogleRefused as error:
        if error.status in GONE:
            return "gone"
        raise refused(error) from None
    if purchase.purchase_state_context.purchase_state == "CANCELLED":
        return "canceled"
    is_consumed = _is_consumed(purchase, product_id)
    # What is consumed is acknowledged.
    is_acknowledged = purchase.acknowledgement_state == ACKNOWLEDGED or is_consumed
    is_done = is_consumed if verb == "consume" else is_acknowledged
    return "done_before" if is_done else None


def _is_consumed(purchase: ProductPurchase, product_id: str) -> bool:
    return any(
        line.product_id == product_id and line.product_offer_details.consumption_state == CONSUMED
        for line in purchase.product_line_item
    )
