"""Refunds that we make: all that remains of a payment, once per decision.

A purchase is closed by Stripe's events alone, never by an answer here: a refund that was accepted
may still fail days later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from tasks.providers import reading
from tasks.providers.calls import CallRefused, ProviderUnreachable
from tasks.providers.reading import Identifier
from tasks.providers.stripe.api import StripeRefused, refused

if TYPE_CHECKING:
    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.stripe.api import StripeApi

PATH = "/v1/refunds"
# Under this name the decision's id stands in the refund's metadata.
DECISION = "decision_id"
# The most that a list gives at once; ours is among the newest.
LISTED_MAX = 100
_WITHOUT_EFFECT = ("failed", "canceled")


class RefundRequest(msgspec.Struct):
    """The request of a call: what is refunded, and for which decision."""

    payment_intent: Identifier
    decision_id: int | str


class MadeRefund(msgspec.Struct):
    """The parts of a refund that we read."""

    id: Identifier
    status: Any = None
    metadata: Any = None

    @property
    def has_effect(self) -> bool:
        """Whether the money goes back, as far as is known now."""
        return self.status not in _WITHOUT_EFFECT


class RefundList(msgspec.Struct):
    """The newest refunds of a payment."""

    data: list[MadeRefund]


_REFUND = msgspec.json.Decoder(MadeRefund)
_LIST = msgspec.json.Decoder(RefundList)


async def make_refund(api: StripeApi, call: ProviderCall) -> dict[str, Any]:
    """Have what remains of a payment refunded, and return which refund does that.

    A call that was tried before may have done it: the answer was lost, or its worker was killed, or
    Stripe keeps the answer of an internal error. Stripe forgets a key after a day. So each retry
    looks first, however soon it comes.
    """
    try:
        request = msgspec.convert(call.request, RefundRequest)
    except msgspec.ValidationError:
        raise CallRefused("the request can't be read") from None
    key = call.key
    if call.is_retry:
        ours = await _look(api, request)
        for refund in ours:
            if refund.has_effect:
                return _made(refund)
        # One that failed is what Stripe would answer to its key again: another needs another key.
        key = f"{key}:{len(ours)}" if ours else key
    try:
        return await _post(api, request, key)
    except StripeRefused as error:
        return await _after_refusal(api, request, error)


async def _post(api: StripeApi, request: RefundRequest, key: str) -> dict[str, Any]:
    form = urlencode(
        {"payment_intent": request.payment_intent, f"metadata[{DECISION}]": request.decision_id}
    )
    answer = await api.post(PATH, form.encode(), idempotency_key=key)
    try:
        refund = _REFUND.decode(answer.body)
    except reading.UNREADABLE_ERRORS:
        # A success that says nothing: whether there is a refund is unknown.
        raise ProviderUnreachable(f"{answer.status} and an unreadable body") from None
    if not refund.has_effect:
        raise CallRefused(f"refund {refund.id} {refund.status}")
    return _made(refund)


async def _after_refusal(
    api: StripeApi, request: RefundRequest, error: StripeRefused
) -> dict[str, Any]:
    """Return why nothing is left to do, if that is so. Raises CallRefused if a person must look."""
    match error.code:
        case "charge_already_refunded" | "amount_too_large" | "idempotency_error":
            for refund in await _look(api, request):
                if refund.has_effect:
                    return _made(refund)
            if error.code == "charge_already_refunded":
                return {"note": "refunded_by_another"}
        case "charge_disputed":
            # Stripe takes the money back itself if the dispute is lost.
            return {"note": "left_to_the_dispute"}
        case _:
            pass
    raise refused(error)


async def _look(api: StripeApi, request: RefundRequest) -> list[MadeRefund]:
    """Return the refunds of the payment that were made for this decision, the newest first."""
    query = urlencode({"payment_intent": request.payment_intent, "limit": LISTED_MAX})
    try:
        answer = await api.get(f"{PATH}?{query}")
        found = _LIST.decode(answer.body).data
    except StripeRefused as error:
        raise refused(error) from None
    except reading.UNREADABLE_ERRORS:
        raise ProviderUnreachable("200 and an unreadable list") from None
    decision = str(request.decision_id)
    return [
        refund for refund in found if reading.as_object(refund.metadata).get(DECISION) == decision
    ]


def _made(refund: MadeRefund) -> dict[str, Any]:
    return {"refund_id": refund.id, "status": refund.status}
