"""What Stripe's other events mean: reversals, what moves nothing, and what can't be Stripe's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.facts import Dispute, DisputeTransaction, Fact, Names, Refund, RefundTotal, Verdict
from tests.tasks.providers.stripe_events import (
    BUYER,
    MALFORMED,
    PAYMENT,
    PURCHASE,
    intent,
    interpret,
    session,
)
from workers.cli import simulated_stripe as made

# Reversals


def test_a_refund_is_told_by_its_id_and_status() -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300)
    assert interpret(event) == Refund(
        payment_keys=["pi_1", "ch_1", "re_1"],
        refund_id="re_1",
        amount_minor=300,
        status="succeeded",
    )


@pytest.mark.parametrize(
    "event_type", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]
)
def test_every_event_of_a_refund_tells_its_status(event_type: str) -> None:
    event = made.refund_event(
        PAYMENT, event_type, refund_id="re_1", amount_minor=300, status="failed"
    )
    fact = interpret(event)
    assert isinstance(fact, Refund)
    assert fact.status == "failed"


@pytest.mark.parametrize("status", [None, "something_new", 5, ["failed"]])
def test_a_refund_of_unknown_status_is_on_its_way(status: object) -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300)
    event["data"]["object"]["status"] = status
    fact = interpret(event)
    assert isinstance(fact, Refund)
    assert fact.status == "pending"


def test_a_refund_of_no_payment_is_ignored() -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300)
    event["data"]["object"] |= {"payment_intent": None, "charge": None}
    assert interpret(event) == Verdict(state="ignored", reason="no_payment")


def test_a_refunded_charge_tells_all_that_was_refunded_so_far() -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=500)
    assert interpret(event) == RefundTotal(payment_keys=["pi_1", "ch_1"], cumulative_minor=500)


def test_a_charge_without_an_intent_is_known_by_its_own_id() -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=500)
    event["data"]["object"]["payment_intent"] = None
    assert interpret(event) == RefundTotal(payment_keys=["ch_1"], cumulative_minor=500)


@pytest.mark.parametrize(
    "moment", ["created", "updated", "funds_withdrawn", "funds_reinstated", "closed"]
)
def test_every_event_of_a_dispute_tells_the_money_that_moved(moment: str) -> None:
    event = made.dispute_event(
        PAYMENT,
        f"charge.dispute.{moment}",
        dispute_id="dp_1",
        balance_transactions=[("txn_1", -999), ("txn_2", 999)],
    )
    assert interpret(event) == Dispute(
        payment_keys=["pi_1", "ch_1", "dp_1"],
        dispute_id="dp_1",
        amount_minor=999,
        transactions=[
            DisputeTransaction(id="txn_1", amount=-999),
            DisputeTransaction(id="txn_2", amount=999),
        ],
    )


@pytest.mark.parametrize("transactions", [None, []])
def test_an_inquiry_has_moved_no_money(transactions: object) -> None:
    event = made.dispute_event(PAYMENT, dispute_id="dp_1", status="warning_needs_response")
    event["data"]["object"]["balance_transactions"] = transactions
    fact = interpret(event)
    assert isinstance(fact, Dispute)
    assert fact.transactions == []


# Names


@pytest.mark.parametrize("event_type", ["charge.succeeded", "charge.updated", "charge.captured"])
def test_a_charge_tells_the_names_of_its_payment_and_nothing_else(event_type: str) -> None:
    charge = made.charge(PAYMENT) | {"metadata": {"profile_id": str(BUYER), "sku": "coins_100"}}
    event = made.stripe_event(PAYMENT, event_type, charge)
    assert interpret(event) == Names(payment_keys=["pi_1", "ch_1"])
    charge["payment_intent"] = made.payment_intent(PAYMENT)
    assert interpret(event) == Names(payment_keys=["pi_1", "ch_1"])


@pytest.mark.parametrize("event_type", ["charge.succeeded", "charge.updated"])
@pytest.mark.parametrize("missing", ["id", "payment_intent"])
def test_a_charge_with_one_name_tells_nothing(event_type: str, missing: str) -> None:
    event = made.stripe_event(PAYMENT, event_type, made.charge(PAYMENT) | {missing: None})
    assert interpret(event) == Verdict(state="ignored", reason="unknown_type")


# What moves nothing


@pytest.mark.parametrize("livemode", [True, False])
def test_an_event_of_the_other_mode_is_refused_whatever_it_is(livemode: bool) -> None:  # noqa: FBT001
    refused = Verdict(state="rejected", reason="livemode_mismatch")
    payment = replace(PAYMENT, livemode=not livemode)
    assert interpret(made.payment_intent_succeeded(payment), livemode=livemode) == refused
    assert interpret(made.stripe_event(payment, "x", {}), livemode=livemode) == refused
    assert interpret(intent(), livemode=livemode) == (refused if livemode else PURCHASE)


def test_an_event_that_names_no_mode_is_a_test() -> None:
    event = intent()
    del event["livemode"]
    assert interpret(event) == PURCHASE
    assert interpret(event, livemode=True) == Verdict(state="rejected", reason="livemode_mismatch")


def test_a_thin_event_is_left_for_later() -> None:
    event = {
        "id": "evt_test_65R",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "livemode": False,
        "created": "2026-11-22T05:28:00.000Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/1"},
    }
    assert interpret(event) == Verdict(state="ignored", reason="thin_event")


@pytest.mark.parametrize(
    "event_type", ["customer.created", "charge.succeeded", "payment_intent.created", "", "x" * 255]
)
def test_other_types_are_ignored(event_type: str) -> None:
    event = made.stripe_event(PAYMENT, event_type, {})
    assert interpret(event) == Verdict(state="ignored", reason="unknown_type")


# What can't be Stripe's


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"id": "pi_\x00"},
        {"id": "x" * 256},
        {"status": None},
        {"amount_received": None},
        {"amount_received": "999"},
        {"amount_received": -1},
        {"amount_received": 9.5},
        {"amount_received": 2**63},
        {"amount_received": 10**400},
        {"currency": None},
        {"currency": "dollars"},
        {"currency": "us\n"},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_an_intent_of_another_shape_is_malformed(changes: dict[str, Any]) -> None:
    assert interpret(intent(**changes)) == MALFORMED


@pytest.mark.parametrize("changes", [{"amount_total": None}, {"currency": None}])
def test_a_paid_session_without_a_price_is_malformed(changes: dict[str, Any]) -> None:
    assert interpret(session(**changes)) == MALFORMED


@pytest.mark.parametrize("data", [None, [], {}, {"object": None}, {"object": []}, "text"])
def test_an_event_without_its_object_is_malformed(data: object) -> None:
    assert interpret(intent() | {"data": data}) == MALFORMED


@pytest.mark.parametrize("moved", ["txn_1", {"id": "txn_1"}, {"id": "txn_1", "amount": 2**64}])
def test_a_dispute_with_unreadable_transactions_is_malformed(moved: object) -> None:
    event = made.dispute_event(PAYMENT, dispute_id="dp_1")
    event["data"]["object"]["balance_transactions"] = [moved]
    assert interpret(event) == MALFORMED


EVENTS = [
    made.payment_intent_succeeded(PAYMENT),
    made.checkout_session_completed(PAYMENT),
    made.charge_refunded(PAYMENT, amount_refunded=500),
    made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300),
    made.dispute_event(PAYMENT, dispute_id="dp_1", balance_transactions=[("txn_1", -999)]),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text()
    | st.sampled_from(["\x00", "\ud800", "pi_1", str(BUYER), "paid", "succeeded"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed_events(draw: st.DrawFn) -> bytes:
    """Take a real event and put anything in place of some of its fields."""
    event = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([event, event["data"]["object"]]))
        place[draw(st.sampled_from(sorted(place)))] = draw(JSON)
        if not isinstance(event["data"], dict) or not isinstance(event["data"].get("object"), dict):
            break
    return json.dumps(event).encode()


def is_storable(fact: Fact) -> bool:
    """Say whether a fact survives the way to SQL: its types hold, and it has no NUL."""
    return msgspec.convert(msgspec.to_builtins(fact), type(fact)) == fact


@given(changed_events())
def test_a_changed_event_always_has_a_storable_meaning(payload: bytes) -> None:
    assert is_storable(interpret(payload))


@given(st.binary(max_size=200))
def test_any_bytes_have_a_meaning(payload: bytes) -> None:
    assert interpret(payload) == MALFORMED


@pytest.mark.parametrize("opening", [b"[", b'{"data":', b'{"data":{"object":'])
def test_a_depth_bomb_is_malformed(opening: bytes) -> None:
    assert interpret(opening * 20_000) == MALFORMED
    bomb = b'{"type":"payment_intent.succeeded","data":' + opening * 5000
    assert interpret(bomb) == MALFORMED
