"""What Stripe's events mean for coins."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.facts import (
    Dispute,
    DisputeTransaction,
    Fact,
    Purchase,
    Refund,
    RefundTotal,
    Verdict,
)
from db.inbox import ClaimedEvent
from tasks.providers import stripe
from workers.cli import simulated_stripe as made

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
)


def interpret(event: Any, *, livemode: bool = False) -> Fact:
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
    return stripe.interpret(claimed, livemode=livemode)


def purchase(event: Any) -> Purchase:
    fact = interpret(event)
    assert isinstance(fact, Purchase)
    return fact


def intent(**changes: Any) -> dict[str, Any]:
    """Give the event of a succeeded intent with some of its fields changed."""
    event = made.payment_intent_succeeded(PAYMENT)
    event["data"]["object"] |= changes
    return event


def with_metadata(**metadata: Any) -> dict[str, Any]:
    return intent(metadata=OURS | metadata)


def session(**changes: Any) -> dict[str, Any]:
    return made.checkout_session_completed(PAYMENT, changes=changes)


# Purchases


def test_a_succeeded_intent_is_a_purchase() -> None:
    assert interpret(intent()) == PURCHASE


def test_a_paid_session_is_the_same_purchase() -> None:
    assert interpret(session()) == msgspec.structs.replace(
        PURCHASE, payment_keys=["pi_1"], country_code="DE"
    )


def test_a_session_paid_later_is_the_same_purchase() -> None:
    event = made.checkout_session_async_payment_succeeded(PAYMENT)
    assert interpret(event) == interpret(session())


@pytest.mark.parametrize("status", ["unpaid", "no_payment_required", "something_new"])
def test_a_session_that_is_not_paid_grants_nothing(status: str) -> None:
    fact = interpret(session(payment_status=status))
    assert fact == Verdict(state="ignored", reason="unpaid")


@pytest.mark.parametrize("status", ["processing", "requires_action", "canceled"])
def test_an_intent_that_has_not_succeeded_grants_nothing(status: str) -> None:
    assert interpret(intent(status=status)) == Verdict(state="ignored", reason="not_succeeded")


def test_a_session_in_mode_setup_grants_nothing() -> None:
    event = session(
        mode="setup",
        payment_intent=None,
        payment_status="no_payment_required",
        amount_total=None,
        currency=None,
    )
    assert interpret(event) == Verdict(state="ignored", reason="unpaid")


def test_a_paid_session_without_an_intent_waits_for_a_person() -> None:
    fact = purchase(session(mode="subscription", payment_intent=None))
    assert (fact.provider_payment_id, fact.payment_keys) == ("cs_test_1", ["cs_test_1"])
    assert (fact.profile_id, fact.sku) == (BUYER, None)


def test_what_was_received_counts_not_what_was_asked() -> None:
    assert purchase(intent(amount=5000, amount_received=999)).amount_minor == 999


def test_a_purchase_is_dated_by_its_event() -> None:
    event = made.payment_intent_succeeded(PAYMENT, created_s=NOW_S + 60)
    assert purchase(event).purchased_at == datetime.fromtimestamp(NOW_S + 60, UTC)


@pytest.mark.parametrize("created", [None, -1, 10**12, "yesterday", 1.5, True])
def test_a_purchase_without_a_readable_time_is_dated_by_its_arrival(created: object) -> None:
    assert purchase(intent() | {"created": created}).purchased_at == RECEIVED_AT


def test_the_intent_may_hold_its_charge_in_full() -> None:
    fact = purchase(intent(latest_charge=made.charge(PAYMENT)))
    assert fact.payment_keys == ["pi_1", "ch_1"]
    assert fact.country_code == "DE"


def test_the_session_may_hold_its_intent_in_full() -> None:
    assert purchase(session(payment_intent=made.payment_intent(PAYMENT))).payment_keys == ["pi_1"]


def test_a_currency_is_lower_case() -> None:
    assert purchase(intent(currency="EUR")).currency == "eur"


# Whose it is, and what


def test_a_payment_without_our_metadata_is_another_products() -> None:
    fact = interpret(made.payment_intent_succeeded(NOT_OURS))
    assert fact == Verdict(state="ignored", reason="not_ours", payment_keys=["pi_1", "ch_1"])


@pytest.mark.parametrize("metadata", [None, {}, {"quantity": "2"}, {"sku": ""}, [], "text"])
def test_metadata_without_buyer_and_product_are_not_ours(metadata: object) -> None:
    fact = interpret(intent(metadata=metadata))
    assert fact == Verdict(state="ignored", reason="not_ours", payment_keys=["pi_1", "ch_1"])


def test_a_session_of_another_product_is_not_ours() -> None:
    fact = interpret(session(metadata={}, client_reference_id="order-17"))
    assert fact == Verdict(state="ignored", reason="not_ours", payment_keys=["pi_1"])


def test_the_buyer_may_stand_in_client_reference_id() -> None:
    event = session(metadata={"sku": "coins_100"}, client_reference_id=str(BUYER))
    assert purchase(event).profile_id == BUYER


def test_metadata_name_the_buyer_before_client_reference_id() -> None:
    event = session(client_reference_id="7f9619ff-8b86-4011-b42d-00c04fc964ff")
    assert purchase(event).profile_id == BUYER


def test_a_buyer_without_a_product_waits_for_it() -> None:
    fact = purchase(intent(metadata={"profile_id": str(BUYER)}))
    assert (fact.profile_id, fact.sku, fact.buyer_unreadable) == (BUYER, None, False)


def test_a_uuid_in_client_reference_id_alone_waits_for_a_product() -> None:
    fact = purchase(session(metadata={}, client_reference_id=str(BUYER)))
    assert (fact.profile_id, fact.sku) == (BUYER, None)


def test_a_product_without_a_buyer_waits_for_one() -> None:
    fact = purchase(intent(metadata={"sku": "coins_100"}))
    assert (fact.profile_id, fact.sku, fact.buyer_unreadable) == (None, "coins_100", False)


@pytest.mark.parametrize("named", ["42", "nobody", str(BUYER)[:-1], "\x00", "{" + str(BUYER) + "}"])
def test_a_buyer_that_is_no_uuid_is_unreadable(named: str) -> None:
    fact = purchase(with_metadata(profile_id=named))
    assert (fact.profile_id, fact.buyer_unreadable) == (None, True)


def test_a_client_reference_id_that_is_no_uuid_names_nobody() -> None:
    fact = purchase(session(metadata={"sku": "coins_100"}, client_reference_id="order-17"))
    assert (fact.profile_id, fact.buyer_unreadable) == (None, True)


@pytest.mark.parametrize(
    ("written", "quantity"), [("1", 1), ("20", 20), (3, 3), ("1000000", 10**6)]
)
def test_a_quantity_is_read(written: object, quantity: int) -> None:
    fact = purchase(with_metadata(quantity=written))
    assert (fact.quantity, fact.sku) == (quantity, "coins_100")


@pytest.mark.parametrize(
    "written",
    ["0", "-1", "1.5", "two", "1000001", "9" * 400, " 2", "٣", "2\x00", 0, -3, True, [], {}],
    ids=repr,
)
def test_a_quantity_that_makes_no_sense_waits_for_a_person(written: object) -> None:
    fact = purchase(with_metadata(quantity=written))
    assert (fact.quantity, fact.sku, fact.profile_id) == (1, None, BUYER)


@pytest.mark.parametrize("sku", ["coins\x00", "x" * 256, 5, ["coins_100"], "coins\n"], ids=repr)
def test_a_product_that_cannot_be_read_waits_for_a_person(sku: object) -> None:
    fact = purchase(with_metadata(sku=sku))
    assert (fact.sku, fact.profile_id) == (None, BUYER)


# Where from


def test_metadata_say_where_a_buyer_sat() -> None:
    fact = purchase(
        with_metadata(ip_address="2001:db8::1", country_code="at", user_agent="Mozilla/5.0")
    )
    assert fact.ip_address == "2001:db8::1"
    assert fact.country_code == "AT"
    assert fact.user_agent == "Mozilla/5.0"


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "fe80::1%eth0", "1.2.3.4/8", 7])
def test_an_address_that_is_none_is_left_out(address: object) -> None:
    assert purchase(with_metadata(ip_address=address)).ip_address is None


@pytest.mark.parametrize("country", ["", "DEU", "d", "1a", "Äö", None, 49])
def test_a_country_that_is_none_is_left_out(country: object) -> None:
    assert purchase(with_metadata(country_code=country)).country_code is None


def test_a_user_agent_is_cut_and_cleaned() -> None:
    fact = purchase(with_metadata(user_agent="a\x00b\n" + "x" * 1000))
    assert fact.user_agent == "ab" + "x" * 508


# Reversals


def test_a_refund_is_told_by_its_id_and_status() -> None:
    event = made.refund_event(PAYMENT, refund_id="re_1", amount_minor=300)
    assert interpret(event) == Refund(
        payment_keys=["pi_1", "ch_1"], refund_id="re_1", amount_minor=300, status="succeeded"
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
        payment_keys=["pi_1", "ch_1"],
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
