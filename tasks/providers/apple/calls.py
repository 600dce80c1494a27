"""The calls that we make to Apple: what became of a purchase whose refund a customer asks for.

Only a worker that has the key imports this module. Whether Apple may be told is decided elsewhere.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import msgspec

from db.facts import MilliPercent
from tasks.providers.calls import CallRefused
from tasks.providers.reading import Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.apple.api import AppStoreApi
    from tasks.providers.calls import MakeCall

ANSWER_CONSUMPTION = "apple.answer_consumption"
PATH = "/inApps/v2/transactions/consumption/"
# What was not done because its time was over.
TOO_LATE = {"note": "too_late"}


class AnswerRequest(msgspec.Struct):
    """The request of a call: what Apple is told; `deadline` is in seconds since 1970."""

    transaction_id: Identifier
    bundle_id: Identifier
    environment: Literal["Production", "Sandbox"]
    delivery_status: Literal["DELIVERED", "UNDELIVERED_OTHER"]
    deadline: Annotated[float, msgspec.Meta(ge=0)]
    consumption_percentage: MilliPercent | None = None
    refund_preference: Literal["DECLINE", "GRANT_FULL", "GRANT_PRORATED"] | None = None


def calls_of(api: AppStoreApi) -> Mapping[str, MakeCall]:
    """Return the kinds of calls, which share the connections of `api`."""
    return {ANSWER_CONSUMPTION: partial(answer_consumption, api)}


async def answer_consumption(api: AppStoreApi, call: ProviderCall) -> dict[str, Any]:
    """Answer a CONSUMPTION_REQUEST; the same answer twice does no harm.

    After the deadline nothing is sent: Apple has decided by then.
    """
    try:
        request = msgspec.convert(call.request, AnswerRequest)
    except msgspec.ValidationError:
        raise CallRefused("the request can't be read") from None
    if time.time() > request.deadline:
        return TOO_LATE
    await api.send(
        "PUT",
        PATH + quote(request.transaction_id, safe=""),
        environment=request.environment,
        bundle_id=request.bundle_id,
        body=msgspec.json.encode(_body(request)),
    )
    return {"answered": request.refund_preference or "NO_PREFERENCE"}


def _body(request: AnswerRequest) -> dict[str, Any]:
    """Return what Apple is told, by its own names; what is None is left out."""
    told = {
        # No call is written without it.
        "customerConsented": True,
        "sampleContentProvided": False,
        "deliveryStatus": request.delivery_status,
        "consumptionPercentage": request.consumption_percentage,
        "refundPreference": request.refund_preference,
    }
    return {name: value for name, value in told.items() if value is not None}
