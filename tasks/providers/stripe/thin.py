"""Thin events: they name an object and say nothing of it, so it is fetched, and then read.

The object is as it was when it was fetched, which may be days after the event. So what is told of
money that goes back is told at that time; a payment was made when its event says.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from db.facts import Call, Question
from tasks.providers import reading
from tasks.providers.reading import malformed
from tasks.providers.stripe.objects import EventData

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent

# Thin events of objects of API v1: v1.payment_intent.succeeded.
PREFIX = "v1."
FETCH_OBJECT = "stripe.fetch_object"
OBJECT_PATH = re.compile(r"/v1/[a-z_]{1,64}(/[a-z_]{1,64})?/[A-Za-z0-9_]{1,255}")
_PAID = ("payment_intent.", "checkout.session.")


class RelatedObject(msgspec.Struct):
    """What a thin event names; `url` is a path of the API."""

    url: str


class ThinEvent(msgspec.Struct):
    """The parts of a thin event that are not in every event."""

    type: str
    created: Any = None  # ISO 8601
    context: Any = None
    related_object: RelatedObject | None = None


class Fetched(msgspec.Struct):
    """The stored answer: the object, and Stripe's time of the answer in seconds since 1970."""

    object: msgspec.Raw
    fetched_at: int


_THIN_EVENT = msgspec.json.Decoder(ThinEvent)
_FETCHED = msgspec.json.Decoder(Fetched)


def read_thin(event: ClaimedEvent, reader: Callable[[EventData], Fact]) -> Fact:
    """Return what the object means to `reader`, or the question for it. Raises ValueError."""
    thin = _THIN_EVENT.decode(event.payload)
    if thin.related_object is None or not OBJECT_PATH.fullmatch(thin.related_object.url):
        return malformed()
    if event.answer is None:
        return Question(
            call=Call(
                kind=FETCH_OBJECT,
                key=f"coinfleet:fetch:{event.provider_event_id}",
                request={
                    "path": thin.related_object.url,
                    "context": reading.identifier(thin.context),
                },
            )
        )
    fetched = _FETCHED.decode(event.answer)
    is_paid = thin.type.removeprefix(PREFIX).startswith(_PAID)
    at = _created(thin.created) if is_paid else reading.moment(fetched.fetched_at)
    data = msgspec.Raw(b'{"object":%b}' % bytes(fetched.object))
    return reader(EventData(data, at or event.received_at))


def _created(text: Any) -> datetime | None:
    """Return the time of a thin event, None if it makes no sense."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
