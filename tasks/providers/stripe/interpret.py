"""What Stripe's events mean for coins: which account's events count, and who reads each type.

Reads no object itself: intents.py, sessions.py, reversals.py and names.py do; thin.py has it
fetched first where an event only names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers import reading
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed, rejected
from tasks.providers.stripe.intents import read_payment_intent
from tasks.providers.stripe.names import read_charge
from tasks.providers.stripe.objects import Event, EventData
from tasks.providers.stripe.reversals import (
    read_charge_failed,
    read_charge_refunded,
    read_closed_review,
    read_dispute,
    read_opened_review,
    read_refund,
    read_warning,
)
from tasks.providers.stripe.sessions import read_checkout_session
from tasks.providers.stripe.thin import PREFIX, read_thin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent

_EVENT = msgspec.json.Decoder(Event)


def interpret(event: ClaimedEvent, *, livemode: bool, accounts: Collection[str]) -> Fact:
    """Return what an event means for coins: pure and total, any bytes mean something.

    An event of another account is rejected whatever its type, because its money isn't ours, unless
    its account is one of `accounts`. So is an event of the other mode: test cards buy no coins.
    """
    try:
        envelope = _EVENT.decode(event.payload)
        for named in (envelope.account, envelope.user_id, envelope.context):
            if named is not None and not _is_ours(named, accounts):
                return rejected("account_mismatch", reading.identifier(named) or "unreadable id")
        if envelope.livemode != livemode:
            return rejected("livemode_mismatch")
        if envelope.object == "v2.core.event":
            is_of_v1 = envelope.type.startswith(PREFIX)
            reader = _reader(envelope.type.removeprefix(PREFIX)) if is_of_v1 else None
            return read_thin(event, reader) if reader else ignored("thin_event")
        data = EventData(envelope.data, reading.moment(envelope.created) or event.received_at)
        reader = _reader(envelope.type)
        return reader(data) if reader else ignored("unknown_type")
    except UNREADABLE_ERRORS:
        return malformed()


def _reader(event_type: str) -> Callable[[EventData], Fact] | None:
    """Return what reads the object of events of this type; None if they mean nothing to us."""
    return read_dispute if event_type.startswith("charge.dispute.") else READERS.get(event_type)


def _is_ours(named: Any, accounts: Collection[str]) -> bool:
    """Return whether an event's `account` or `context` is one of `accounts`.

    A context is the id of an account, or a path that ends with it: org_1/acct_2. A value that is no
    text is no id.
    """
    return isinstance(named, str) and (named in accounts or named.rpartition("/")[2] in accounts)


READERS: dict[str, Callable[[EventData], Fact]] = {
    "payment_intent.succeeded": read_payment_intent,
    "checkout.session.completed": read_checkout_session,
    "checkout.session.async_payment_succeeded": read_checkout_session,
    "checkout.session.async_payment_failed": read_checkout_session,
    "charge.failed": read_charge_failed,
    "charge.captured": read_charge,
    "charge.succeeded": read_charge,
    "charge.updated": read_charge,
    "charge.refunded": read_charge_refunded,
    "charge.refund.updated": read_refund,
    "refund.created": read_refund,
    "refund.updated": read_refund,
    "refund.failed": read_refund,
    "radar.early_fraud_warning.created": read_warning,
    "radar.early_fraud_warning.updated": read_warning,
    "review.opened": read_opened_review,
    "review.closed": read_closed_review,
}

# What tells nothing that another event of the same doesn't: a payment that failed has no coins, and
# a warning was told when it was created.
_DISPENSABLE = ("checkout.session.async_payment_failed", "radar.early_fraud_warning.updated")

# Each type without which coins may be missing, or spent that are frozen, as Stripe names it. One
# list of events has 20 types at most.
EVENT_TYPES: tuple[str, ...] = (
    *(each for each in READERS if each not in _DISPENSABLE),
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
