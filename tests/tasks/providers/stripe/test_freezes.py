"""What Stripe's early fraud warnings and reviews mean, read from events in its own shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from db.facts import Fact, PaymentFreeze, Verdict
from tests.tasks.providers.stripe.events import MALFORMED, NOW_S, PAYMENT, interpret
from workers.cli.simulate import stripe as made

AT = datetime.fromtimestamp(NOW_S, UTC)
OPENED_AT = datetime.fromtimestamp(NOW_S - 60, UTC)
# As in Stripe's reference of its API.
WARNING = {
    "id": "issfr_1",
    "object": "radar.early_fraud_warning",
    "actionable": True,
    "charge": "ch_1",
    "created": NOW_S - 60,
    "fraud_type": "made_with_stolen_card",
    "livemode": False,
    "payment_intent": "pi_1",
}
REVIEW = {
    "id": "prv_1",
    "object": "review",
    "billing_zip": None,
    "charge": None,
    "closed_reason": None,
    "created": NOW_S - 60,
    "livemode": False,
    "open": True,
    "opened_reason": "rule",
    "payment_intent": "pi_1",
    "reason": "rule",
}


def told(event_type: str, about: dict[str, Any]) -> Fact:
    return interpret(made.stripe_event(PAYMENT, event_type, about))


@pytest.mark.parametrize("moment", ["created", "updated"])
@pytest.mark.parametrize("actionable", [True, False])
def test_a_warning_freezes_whatever_can_be_done_about_it(moment: str, *, actionable: bool) -> None:
    warning = WARNING | {"actionable": actionable}
    assert told(f"radar.early_fraud_warning.{moment}", warning) == PaymentFreeze(
        payment_keys=["pi_1", "ch_1", "issfr_1"],
        told_at=AT,
        opened_at=OPENED_AT,
        source="early_fraud_warning",
        source_id="issfr_1",
        is_open=True,
    )


@pytest.mark.parametrize(
    ("event_type", "is_open_there", "is_open"),
    [
        ("review.opened", True, True),
        ("review.opened", None, True),
        # Fetched after it was closed.
        ("review.opened", False, False),
        ("review.closed", False, False),
        ("review.closed", True, False),
    ],
)
def test_a_review_freezes_until_it_is_closed(
    event_type: str, *, is_open_there: bool | None, is_open: bool
) -> None:
    assert told(event_type, REVIEW | {"open": is_open_there}) == PaymentFreeze(
        payment_keys=["pi_1", "prv_1"],
        told_at=AT,
        opened_at=OPENED_AT,
        source="review",
        source_id="prv_1",
        is_open=is_open,
    )


def test_what_is_expanded_is_named_by_its_id() -> None:
    fact = told("review.opened", REVIEW | {"payment_intent": {"id": "pi_2", "object": "x"}})
    assert isinstance(fact, PaymentFreeze)
    assert fact.payment_keys == ["pi_2", "prv_1"]


def test_without_a_time_of_its_own_it_was_opened_when_it_was_told() -> None:
    fact = told("review.opened", REVIEW | {"created": "soon"})
    assert isinstance(fact, PaymentFreeze)
    assert fact.opened_at == AT


@pytest.mark.parametrize("event_type", ["review.closed", "radar.early_fraud_warning.created"])
def test_what_names_no_payment_or_cannot_be_read_freezes_nothing(event_type: str) -> None:
    nowhere = REVIEW | {"payment_intent": None, "charge": None}
    assert told(event_type, nowhere) == Verdict(state="ignored", reason="no_payment")
    assert told(event_type, REVIEW | {"id": 7}) == MALFORMED
