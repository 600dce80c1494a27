"""The parts of the app's events that coins depend on; other fields are ignored."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from db.facts import BigInt, Quantity, Text


class Event(msgspec.Struct):
    """An event whose data are left unread until its type says what they are."""

    type: str
    data: msgspec.Raw = msgspec.Raw()


class GiftSent(msgspec.Struct):
    """The data of `gift.sent`: the fields of the fact, in the types of the fact."""

    sender_id: UUID
    recipient_id: UUID
    gift_type: Text
    quantity: Quantity = 1
    stream_id: BigInt | None = None
    slot_index: Annotated[int, msgspec.Meta(ge=1, le=12)] | None = None
