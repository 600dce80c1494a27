"""What Stripe's other events mean: reversals, events without effect, malformed events."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.facts import (
    ChargeFailed,
    Dispute,
    DisputeTransaction,
    Fact,
    Names,
    Refund,
    RefundTotal,
    Verdict,
)
from tests.tasks.providers.stripe.events import (
    BUYER,
    MALFORMED,
    NOW_S,
    PAYMENT,
    PURCHASE,
    intent,
    interpret,
    session,
)
from workers.cli.simulate import stripe as made

pytestmark = pytest.mark.requirement("C11")

AT = datetime.fromtimestamp(NOW_S, UTC)


def at(second: int) -> datetime:
    return AT + timedelta(seconds=second)


# Reversals


def test_a_refund_is_told_by_its_id_and_status() -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300)
    assert interpret(event) == Refund(
        payment_keys=["pi_1", "ch_1", "re_1"],
        told_at=AT,
        refund_created_at=AT,
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
    assert interpret(event) == RefundTotal(
        payment_keys=["pi_1", "ch_1"],
        told_at=AT,
        cumulative_minor=500,
        uncaptured_minor=0,
        amount_minor=999,
        currency="usd",
    )


@pytest.mark.parametrize(
    ("changes", "uncaptured", "paid"),
    [
        ({"amount": 1500, "amount_captured": 1000}, 500, 1000),
        ({"amount": 1500, "amount_captured": 1500}, 0, 1500),
        ({"amount": 1500, "amount_captured": 1600}, 0, 1600),
        ({"amount": 1500, "amount_captured": 0}, 1500, 0),
        ({"amount": 1500, "amount_captured": None}, None, 1500),
        ({"amount": None, "amount_captured": 1000}, None, None),
    ],
)
def test_a_refunded_charge_tells_what_was_never_captured(
    changes: dict[str, int | None], uncaptured: int | None, paid: int | None
) -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=750)
    event["data"]["object"] |= changes
    fact = interpret(event)
    assert isinstance(fact, RefundTotal)
    # Refunds of a direct call, which names no price, are parts of what was captured.
    assert (fact.uncaptured_minor, fact.amount_minor) == (uncaptured, paid)


def test_a_charge_of_which_nothing_was_captured_bought_nothing() -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=999)
    event["data"]["object"] |= {"captured": False, "amount_captured": 0}
    assert interpret(event) == Verdict(
        state="ignored", reason="not_captured", payment_keys=["pi_1", "ch_1"]
    )


@pytest.mark.parametrize("changes", [{"amount": "1500"}, {"amount_captured": -1}])
def test_a_charge_with_unreadable_amounts_is_malformed(changes: dict[str, object]) -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=999)
    event["data"]["object"] |= changes
    assert interpret(event) == MALFORMED


def test_a_refund_has_a_time_of_its_own_and_one_of_its_event() -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300, created_s=NOW_S + 9)
    event["data"]["object"]["created"] = NOW_S + 5
    fact = interpret(event)
    assert isinstance(fact, Refund)
    assert (fact.refund_created_at, fact.told_at) == (at(5), at(9))


@pytest.mark.parametrize("created", [None, "now", 1.5, -1])
def test_a_refund_without_a_readable_time_has_the_time_of_its_event(created: object) -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300, created_s=NOW_S + 9)
    event["data"]["object"]["created"] = created
    fact = interpret(event)
    assert isinstance(fact, Refund)
    assert fact.refund_created_at == at(9)


def test_a_charge_whose_money_came_and_went_has_failed() -> None:
    event = made.stripe_event(PAYMENT, "charge.failed", made.charge(PAYMENT))
    assert interpret(event) == Verdict(state="ignored", reason="charge_failed")
    event["data"]["object"]["failure_balance_transaction"] = "txn_9"
    assert interpret(event) == ChargeFailed(payment_keys=["pi_1", "ch_1"])


def test_a_charge_without_an_intent_is_known_by_its_own_id() -> None:
    event = made.charge_refunded(PAYMENT, amount_refunded=500)
    event["data"]["object"]["payment_intent"] = None
    fact = interpret(event)
    assert isinstance(fact, RefundTotal)
    assert fact.payment_keys == ["ch_1"]


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
        told_at=AT,
        opened_at=AT + timedelta(days=1),
        due_at=AT + timedelta(seconds=700_000),
        dispute_id="dp_1",
        status="needs_response",
        amount_minor=999,
        currency="usd",
        transactions=[
            DisputeTransaction(id="txn_1", amount=-999, currency="usd"),
            DisputeTransaction(id="txn_2", amount=999, currency="usd"),
        ],
    )


def test_a_dispute_tells_its_own_currency_and_those_of_its_transactions() -> None:
    event = made.dispute_event(PAYMENT, dispute_id="dp_1", balance_transactions=[("txn_1", -999)])
    event["data"]["object"]["currency"] = "EUR"
    fact = interpret(event)
    assert isinstance(fact, Dispute)
    assert (fact.currency, fact.transactions[0].currency) == ("eur", "usd")


@pytest.mark.parametrize(
    "details", [None, 5, [], {}, {"due_by": None}, {"due_by": "soon"}, {"due_by": -(10**20)}]
)
def test_a_dispute_that_tells_no_deadline_has_none(details: object) -> None:
    event = made.dispute_event(PAYMENT, dispute_id="dp_1")
    event["data"]["object"]["evidence_details"] = details
    fact = interpret(event)
    assert isinstance(fact, Dispute)
    assert fact.due_at is None


@pytest.mark.parametrize("status", ["won", "lost", "prevented", "warning_closed", "under_review"])
def test_a_dispute_tells_its_status(status: str) -> None:
    fact = interpret(made.dispute_event(PAYMENT, dispute_id="dp_1", status=status))
    assert isinstance(fact, Dispute)
    assert fact.status == status


@pytest.mark.parametrize("status", [None, "something_new", "lost\x00", 5, ["lost"], {}])
def test_a_new_status_of_a_dispute_is_unknown(status: object) -> None:
    event = made.dispute_event(PAYMENT, dispute_id="dp_1")
    event["data"]["object"]["status"] = status
    fact = interpret(event)
    assert isinstance(fact, Dispute)
    assert fact.status == "unknown"


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


# Events without effect


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


def test_a_thin_event_is_ignored() -> None:
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


# Malformed events


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
    """Return a real event in which some fields have any value at all."""
    event = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([event, event["data"]["object"]]))
        place[draw(st.sampled_from(sorted(place)))] = draw(JSON)
        if not isinstance(event["data"], dict) or not isinstance(event["data"].get("object"), dict):
            break
    return json.dumps(event).encode()


def is_storable(fact: Fact) -> bool:
    """Return whether PostgreSQL accepts a fact: its types are right, and it has no NUL."""
    return msgspec.convert(msgspec.to_builtins(fact), type(fact)) == fact


@given(changed_events())
def test_a_changed_event_always_has_a_storable_meaning(payload: bytes) -> None:
    assert is_storable(interpret(payload))


@given(st.binary(max_size=200))
def test_any_bytes_have_a_meaning(payload: bytes) -> None:
    assert interpret(payload) == MALFORMED


@pytest.mark.parametrize("opening", [b"[", b'{"data":', b'{"data":{"object":'])
def test_deeply_nested_json_is_malformed(opening: bytes) -> None:
    assert interpret(opening * 20_000) == MALFORMED
    bomb = b'{"type":"payment_intent.succeeded","data":' + opening * 5000
    assert interpret(bomb) == MALFORMED
