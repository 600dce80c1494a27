"""Which of Stripe's events are purchases: of which buyer, and of what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from db.facts import Half, Names, Verdict
from tests.tasks.providers.stripe.events import (
    BUYER,
    NOT_OURS,
    NOW_S,
    PAID,
    PAYMENT,
    PURCHASE,
    RECEIVED_AT,
    intent,
    intent_not_ours,
    interpret,
    purchase,
    session,
    with_metadata,
)
from workers.cli.simulate import stripe as made

# Purchases


def test_a_succeeded_intent_is_a_purchase() -> None:
    assert interpret(intent()) == PURCHASE


def test_a_paid_session_is_the_same_purchase() -> None:
    assert interpret(session()) == msgspec.structs.replace(
        PURCHASE, payment_keys=["pi_1", "cs_test_1"], country_code="DE", told_by="session"
    )


def test_a_session_paid_later_is_the_same_purchase() -> None:
    event = made.checkout_session_async_payment_succeeded(PAYMENT)
    assert interpret(event) == interpret(session())


@pytest.mark.parametrize("status", ["unpaid", "no_payment_required", "something_new"])
def test_a_session_that_is_not_paid_grants_nothing(status: str) -> None:
    fact = interpret(session(payment_status=status, payment_intent=None))
    assert fact == Verdict(state="ignored", reason="unpaid")


@pytest.mark.parametrize("status", ["unpaid", "no_payment_required", "something_new"])
def test_a_session_that_is_not_paid_yet_names_its_payment(status: str) -> None:
    fact = interpret(session(payment_status=status))
    half = Half(profile_id=BUYER, sku="coins_100", currency="usd", told_by="session")
    assert fact == Names(payment_keys=["pi_1", "cs_test_1"], reason="unpaid", half=half)


def test_a_session_that_is_not_paid_yet_tells_what_a_paid_one_does() -> None:
    fields: dict[str, Any] = {
        "metadata": {"sku": "coins_100", "quantity": "3"},
        "client_reference_id": str(BUYER),
        "total_details": {"amount_tax": 19, "amount_shipping": 0},
    }
    paid = purchase(session(**fields))
    unpaid = interpret(session(**fields, payment_status="unpaid"))
    assert isinstance(unpaid, Names)
    assert unpaid.half is not None
    for name in ("profile_id", "by_reference", "sku", "quantity", "deductions_minor", "currency"):
        assert getattr(unpaid.half, name) == getattr(paid, name)
    assert unpaid.half.paid is None


@pytest.mark.parametrize("status", ["processing", "requires_action", "canceled"])
def test_an_intent_that_has_not_succeeded_grants_nothing(status: str) -> None:
    assert interpret(intent(status=status)) == Verdict(state="ignored", reason="not_succeeded")


FREE = {"payment_status": "no_payment_required", "amount_total": 0, "payment_intent": None}


@pytest.mark.parametrize("status", ["no_payment_required", "paid"])
@pytest.mark.parametrize("currency", ["usd", "EUR"])
def test_a_free_order_is_a_purchase_named_by_its_session(status: str, currency: str) -> None:
    fact = purchase(session(**FREE | {"payment_status": status, "currency": currency}))
    assert (fact.provider_payment_id, fact.payment_keys) == ("cs_test_1", ["cs_test_1"])
    assert (fact.profile_id, fact.sku, fact.amount_minor) == (BUYER, "coins_100", 0)
    assert fact.currency == currency.lower()


def test_a_free_order_without_our_metadata_is_not_ours() -> None:
    fact = interpret(session(**FREE, metadata={}, client_reference_id="order-17"))
    assert (fact.state, fact.reason) == ("ignored", "not_ours")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [
        *({"mode": mode} for mode in ("setup", "subscription", None, "something_new", ["payment"])),
        *({"amount_total": amount} for amount in (1, 999, None)),
        *({"payment_status": status} for status in ("unpaid", "something_new")),
    ],
    ids=str,
)
def test_a_session_that_asks_for_no_payment_yet_is_no_free_order(
    changes: dict[str, object],
) -> None:
    fact = interpret(session(**FREE | changes))
    assert fact == Verdict(state="ignored", reason="unpaid")


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


def test_the_received_amount_counts_and_not_the_requested_one() -> None:
    assert purchase(intent(amount=5000, amount_received=999)).amount_minor == 999


def test_a_purchase_is_dated_by_its_event() -> None:
    event = made.payment_intent_succeeded(PAYMENT, created_s=NOW_S + 60)
    assert purchase(event).purchased_at == datetime.fromtimestamp(NOW_S + 60, UTC)


@pytest.mark.parametrize("created", [None, -1, 10**12, "yesterday", 1.5, True])
def test_a_purchase_without_a_readable_time_is_dated_by_its_arrival(created: object) -> None:
    assert purchase(intent() | {"created": created}).purchased_at == RECEIVED_AT


def test_an_intent_may_contain_its_whole_charge() -> None:
    fact = purchase(intent(latest_charge=made.charge(PAYMENT)))
    assert fact.payment_keys == ["pi_1", "ch_1"]
    assert fact.country_code == "DE"


@pytest.mark.parametrize("latest", [{}, {"latest_charge": None}, {"latest_charge": "ch_1"}])
def test_an_intent_of_an_old_api_version_names_its_charge_in_a_list(
    latest: dict[str, object],
) -> None:
    event = intent(charges={"object": "list", "data": [made.charge(PAYMENT)], "has_more": False})
    del event["data"]["object"]["latest_charge"]
    event["data"]["object"] |= latest
    fact = purchase(event)
    assert fact.payment_keys == ["pi_1", "ch_1"]
    assert fact.country_code == "DE"


def test_an_intent_that_is_not_ours_names_its_listed_charge_too() -> None:
    event = intent(metadata={}, latest_charge=None, charges={"data": [{"id": "ch_9"}]})
    fact = interpret(event)
    assert fact == intent_not_ours("pi_1", "ch_9")


@pytest.mark.parametrize("latest", [None, "ch_2", "ch_9"])
@pytest.mark.parametrize(
    "listed", [["ch_2", "ch_1"], ["ch_1", "ch_2"], [f"ch_{number}" for number in range(10)]]
)
def test_each_charge_of_an_intent_is_a_name_of_its_payment(
    listed: list[str], latest: str | None
) -> None:
    charges = {"data": [{"id": name, "status": "failed"} for name in listed]}
    for metadata in (PAYMENT.metadata, {}):
        fact = interpret(intent(latest_charge=latest, charges=charges, metadata=metadata))
        keys = fact.payment_keys  # type: ignore[union-attr]
        assert keys is not None
        assert keys[0] == "pi_1"
        assert set(listed[:6]) | {latest} - {None} == set(keys[1:])
        assert len(keys) <= 8


@pytest.mark.parametrize(
    "charges", [None, {}, [], "ch_9", {"data": None}, {"data": {}}, {"data": []}, {"data": [7]}]
)
def test_a_list_without_a_charge_names_none(charges: object) -> None:
    assert purchase(intent(charges=charges)).payment_keys == ["pi_1", "ch_1"]


def test_a_session_may_contain_its_whole_intent() -> None:
    fact = purchase(session(payment_intent=made.payment_intent(PAYMENT)))
    assert fact.payment_keys == ["pi_1", "cs_test_1"]


def test_a_currency_is_lower_case() -> None:
    assert purchase(intent(currency="EUR")).currency == "eur"


# The buyer and the product


def test_a_payment_without_our_metadata_is_another_products() -> None:
    fact = interpret(made.payment_intent_succeeded(NOT_OURS))
    assert fact == intent_not_ours("pi_1", "ch_1")


@pytest.mark.parametrize("metadata", [None, {}, {"order": "17"}, {"sku": ""}, [], "text"])
def test_metadata_without_buyer_and_product_are_not_ours(metadata: object) -> None:
    fact = interpret(intent(metadata=metadata))
    assert fact == intent_not_ours("pi_1", "ch_1")


def test_a_session_of_another_product_is_not_ours() -> None:
    fact = interpret(session(metadata={}, client_reference_id="order-17"))
    assert fact == Verdict(
        state="ignored",
        reason="not_ours",
        payment_keys=["pi_1", "cs_test_1"],
        half=Half(told_by="session", currency="usd", paid=PAID.paid),
    )


@pytest.mark.parametrize(("written", "quantity"), [("2", 2), (3, 3), ("two", None), ("0", None)])
def test_a_quantity_alone_is_not_ours_and_counts_if_the_payment_is(
    written: object, quantity: int | None
) -> None:
    fields: dict[str, Any] = {"quantity": quantity, "quantity_unreadable": quantity is None}
    by_intent = interpret(intent(metadata={"quantity": written}))
    half = msgspec.structs.replace(PAID, **fields)
    assert by_intent == intent_not_ours("pi_1", "ch_1", half=half)
    by_session = interpret(session(metadata={"quantity": written}, client_reference_id=None))
    assert by_session == Verdict(
        state="ignored",
        reason="not_ours",
        payment_keys=["pi_1", "cs_test_1"],
        half=Half(told_by="session", currency="usd", paid=PAID.paid, **fields),
    )


def test_the_buyer_may_stand_in_client_reference_id() -> None:
    event = session(metadata={"sku": "coins_100"}, client_reference_id=str(BUYER))
    assert purchase(event).profile_id == BUYER
    assert purchase(event).by_reference


def test_metadata_name_the_buyer_before_client_reference_id() -> None:
    event = session(client_reference_id="7f9619ff-8b86-4011-b42d-00c04fc964ff")
    assert purchase(event).profile_id == BUYER
    assert not purchase(event).by_reference


def test_a_product_alone_names_its_buyer_by_no_reference() -> None:
    fact = purchase(session(metadata={"sku": "coins_100"}, client_reference_id=None))
    assert (fact.profile_id, fact.buyer_unreadable, fact.by_reference) == (None, False, False)


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
    assert (fact.profile_id, fact.buyer_unreadable, fact.by_reference) == (None, True, True)


@pytest.mark.parametrize("written", [None, ""])
def test_an_absent_quantity_is_none(written: object) -> None:
    fact = purchase(with_metadata(quantity=written))
    assert (fact.quantity, fact.quantity_unreadable) == (None, False)


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
    assert (fact.quantity, fact.quantity_unreadable) == (None, True)
    assert (fact.sku, fact.profile_id) == (None, BUYER)


@pytest.mark.parametrize("sku", ["coins\x00", "x" * 256, 5, ["coins_100"], "coins\n"], ids=repr)
def test_a_product_that_cannot_be_read_waits_for_a_person(sku: object) -> None:
    fact = purchase(with_metadata(sku=sku))
    assert (fact.sku, fact.profile_id) == (None, BUYER)


# What is part of a session's total besides the price


@pytest.mark.parametrize(
    ("total", "details", "deductions"),
    [
        (1190, {"total_details": {"amount_tax": 190}}, (190,)),
        (1000, {"total_details": {"amount_tax": 160, "amount_shipping": 0}}, (160,)),
        (1500, {"total_details": {"amount_shipping": 500}}, (500,)),
        (1690, {"total_details": {"amount_shipping": 500, "amount_tax": 190}}, (500, 690)),
        (1500, {"shipping_cost": {"amount_total": 500}}, (500,)),
        # Shipping with and without its own tax.
        (
            1785,
            {
                "total_details": {"amount_shipping": 500, "amount_tax": 285},
                "shipping_cost": {"amount_total": 595, "amount_subtotal": 500},
            },
            (500, 595, 785, 880),
        ),
        (900, {"total_details": {"amount_discount": 100}}, ()),
        (1000, {"total_details": {"amount_discount": 190, "amount_tax": 190}}, (190,)),
        (100, {"total_details": {"amount_tax": 101, "amount_shipping": 99}}, (99,)),
    ],
    ids=str,
)
def test_a_session_tells_shipping_and_tax_apart(
    total: int, details: dict[str, object], deductions: tuple[int, ...]
) -> None:
    event = session(**{"amount_total": total, "total_details": None} | details)
    assert purchase(event).deductions_minor == deductions
    assert purchase(event).amount_minor == total
    theirs = session(
        **{"amount_total": total, "total_details": None, "metadata": {}} | details,
        client_reference_id=None,
    )
    fact = interpret(theirs)
    assert isinstance(fact, Verdict)
    assert fact.half is not None
    half = msgspec.structs.replace(fact.half, paid=None)
    assert half == Half(told_by="session", currency="usd", deductions_minor=deductions)


@pytest.mark.parametrize("amount", [None, "190", -190, 1.9, True, [], {}, 2**53 + 1, 10**30])
def test_unreadable_tax_and_shipping_are_no_deductions(amount: object) -> None:
    for details in ({"amount_tax": amount}, {"amount_shipping": amount}, amount):
        event = session(amount_total=1190, total_details=details, shipping_cost=details)
        assert purchase(event).deductions_minor == ()
    assert purchase(session(shipping_cost={"amount_total": amount})).deductions_minor == ()


# The address and the browser


@pytest.mark.requirement("C8")
def test_the_buyers_address_and_browser_come_from_the_metadata() -> None:
    fact = purchase(
        with_metadata(ip_address="2001:db8::1", country_code="at", user_agent="Mozilla/5.0")
    )
    assert fact.ip_address == "2001:db8::1"
    assert fact.country_code == "AT"
    assert fact.user_agent == "Mozilla/5.0"


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "fe80::1%eth0", "1.2.3.4/8", 7])
def test_an_unreadable_address_is_left_out(address: object) -> None:
    assert purchase(with_metadata(ip_address=address)).ip_address is None


@pytest.mark.parametrize("country", ["", "DEU", "d", "1a", "Äö", None, 49])
def test_an_unreadable_country_is_left_out(country: object) -> None:
    assert purchase(with_metadata(country_code=country)).country_code is None


def test_a_user_agent_is_cut_and_cleaned() -> None:
    fact = purchase(with_metadata(user_agent="a\x00b\n" + "x" * 1000))
    assert fact.user_agent == "ab" + "x" * 508
