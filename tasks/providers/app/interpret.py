"""What the app's events mean for coins: gifts, and nothing else yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.facts import Gift
from tasks.providers.app.objects import Event, GiftSent
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed

if TYPE_CHECKING:
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent

_EVENT = msgspec.json.Decoder(Event)
_GIFT_SENT = msgspec.json.Decoder(GiftSent)


def interpret(event: ClaimedEvent) -> Fact:
    """Return what an event means for coins: pure and total, any bytes mean something."""
    try:
        decoded = _EVENT.decode(event.payload)
        if decoded.type != "gift.sent":
            return ignored("unknown_type")
        gift = _GIFT_SENT.decode(decoded.data)
    except UNREADABLE_ERRORS:
        return malformed()
    return Gift(**msgspec.structs.asdict(gift))
