"""The events of one payment, as Stripe writes them, and what they mean to us."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from db.facts import Half, Paid, Purchase, Verdict
from db.inbox.batches import ClaimedEvent
from tasks.providers.stripe import Stripe
from workers.cli.simulate import stripe as made

if TYPE_CHECKING:
    from collections.abc import Collection

    from db.facts import Fact

NOW_S = 1_763_788_800
BUYER = UUID("6f9619ff-8b86-4011-b42d-00c04fc964ff")
RECEIVED_AT = datetime.fromtimestamp(NOW_S + 5, UTC)
OURS = {"profile_id": str(BUYER), "sku": "coins_100"}
PAYMENT = made.StripePayment(key="1", amount_minor=999, created_s=NOW_S, metadata=OURS)
NOT_OURS = replace(PAYMENT, metadata={"order": "17"})
MALFORMED = Verdict(state="rejected", reason="malformed")
PURCHASE = Purchase(
    provider_payment_id="pi_1",
    payment_keys=["pi_1", "ch_1"],
    amount_minor=999,
    currency="usd",
    purchased_at=datetime.fromtimestamp(NOW_S, UTC),
    profile_id=BUYER,
    sku="coins_100",
    told_by="intent",
)
# What an intent without our metadata adds if a session shows that its payment is ours.
PAID = Half(
    told_by="intent",
    paid=Paid(amount_minor=999, currency="usd", purchased_at=datetime.fromtimestamp(NOW_S, UTC)),
)


def intent_not_ours(*payment_keys: str, half: Half = PAID) -> Verdict:
    """Return what an intent without our metadata means."""
    return Verdict(state="ignored", reason="not_ours", payment_keys=list(payment_keys), half=half)


def interpret(event: Any, *, livemode: bool = False, accounts: Collection[str] = ()) -> Fact:
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    claimed = ClaimedEvent(
        id=1,  # type: ignore[arg-type]
        provider="stripe",
        provider_event_id="evt_1",
        event_type="",
        payload=payload,
        received_at=RECEIVED_AT,
        attempts=0,
    )
    return Stripe(livemode=livemode, accounts=accounts).interpret(claimed)


def purchase(event: Any) -> Purchase:
    fact = interpret(event)
    assert isinstance(fact, Purchase)
    return fact


def intent(**changes: Any) -> dict[str, Any]:
    """Return the event of a succeeded intent with some of its fields changed."""
    event = made.payment_intent_succeeded(PAYMENT)
    event["data"]["object"] |= changes
    return event


def with_metadata(**metadata: Any) -> dict[str, Any]:
    return intent(metadata=OURS | metadata)


def session(**changes: Any) -> dict[str, Any]:
    return made.checkout_session_completed(PAYMENT, changes=changes)
