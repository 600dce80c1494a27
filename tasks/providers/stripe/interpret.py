"""What Stripe's events mean for coins: each type's reader, and whose events count at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers import reading
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed, rejected
from tasks.providers.stripe.names import read_charge
from tasks.providers.stripe.objects import Event, Told
from tasks.providers.stripe.purchases import read_checkout_session, read_payment_intent
from tasks.providers.stripe.reversals import (
    read_charge_failed,
    read_charge_refunded,
    read_dispute,
    read_refund,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from db.batches import ClaimedEvent
    from db.facts import Fact

_EVENT = msgspec.json.Decoder(Event)


def interpret(event: ClaimedEvent, *, livemode: bool, accounts: Collection[str]) -> Fact:
    """Say what an event means for coins: pure and total, any bytes give a fact.

    An event of another account moves nothing here, whatever its type: its money isn't ours.
    `accounts` are the ids that count nevertheless. Nor does an event of the other mode: test cards
    pay no coins.
    """
    try:
        envelope = _EVENT.decode(event.payload)
        for named in (envelope.account, envelope.user_id, envelope.context):
            if named is not None and not _is_ours(named, accounts):
                return rejected("account_mismatch", reading.identifier(named) or "unreadable id")
        if envelope.livemode != livemode:
            return rejected("livemode_mismatch")
        if envelope.object == "v2.core.event":
            return ignored("thin_event")
        told = Told(envelope.data, reading.moment(envelope.created) or event.received_at)
        if envelope.type.startswith("charge.dispute."):
            return read_dispute(told)
        reader = _READERS.get(envelope.type)
        return reader(told) if reader else ignored("unknown_type")
    except UNREADABLE_ERRORS:
        return malformed()


def _is_ours(named: Any, accounts: Collection[str]) -> bool:
    """Say whether an event's `account` or `context` is one of `accounts`.

    A context is an account's id, or a path that ends with it: org_1/acct_2. Anything but text is
    nobody's id.
    """
    return isinstance(named, str) and (named in accounts or named.rpartition("/")[2] in accounts)


_READERS: dict[str, Callable[[Told], Fact]] = {
    "payment_intent.succeeded": read_payment_intent,
    "checkout.session.completed": read_checkout_session,
    "checkout.session.async_payment_succeeded": read_checkout_session,
    "charge.failed": read_charge_failed,
    "charge.captured": read_charge,
    "charge.succeeded": read_charge,
    "charge.updated": read_charge,
    "charge.refunded": read_charge_refunded,
    "charge.refund.updated": read_refund,
    "refund.created": read_refund,
    "refund.updated": read_refund,
    "refund.failed": read_refund,
}
