"""What notifications and submissions mean: purchases, snapshots, questions, or nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.facts import LineItem, StoreInquiry, StorePurchase, StoreSnapshot, Verdict
from tasks.providers.reading import ignored, malformed
from tests.tasks.providers.apple.apps import AT, BUYER, NOW_S, claimed, leaf, new_apple, signer

if TYPE_CHECKING:
    from db.facts import Fact

pytestmark = pytest.mark.requirement("C11")

APPLE = new_apple()


def told(notification_type: str, **fields: Any) -> Fact:
    """Return what a notification with such a transaction means."""
    transaction = signer().transaction("2000001", AT, **fields)
    return APPLE.interpret(claimed(signer().notify(notification_type, transaction, AT)))


def bought(**fields: Any) -> StorePurchase:
    """Return the purchase of such a transaction."""
    found = told("ONE_TIME_CHARGE", **fields)
    assert isinstance(found, StorePurchase)
    return found


def submitted(**fields: Any) -> Fact:
    """Return what the submission of such a transaction means."""
    body = signer().submission(signer().transaction("2000001", AT, **fields))
    stored = APPLE.read_submission(body, profile_id=UUID(BUYER), now_s=NOW_S)
    return APPLE.interpret(claimed(stored.payload, stored.event_type))


def test_a_charge_is_a_purchase_of_the_buyer_that_it_names() -> None:
    assert bought(appAccountToken=BUYER, quantity=3) == StorePurchase(
        provider_payment_id="2000001",
        payment_keys=["2000001"],
        store_app="dev.coinfleet.app",
        purchased_at=AT,
        told_at=AT,
        line_items=[LineItem(product_id="coins_100", quantity=3)],
        profile_id=UUID(BUYER),
        amount_minor=99,
        currency="usd",
        country_code="US",
    )


def test_a_buyer_is_the_same_in_any_case() -> None:
    assert bought(appAccountToken=BUYER.upper()).profile_id == UUID(BUYER)


@pytest.mark.parametrize("token", [None, ""])
def test_a_charge_may_name_no_buyer(token: str | None) -> None:
    purchase = bought(appAccountToken=token)
    assert (purchase.profile_id, purchase.buyer_unreadable) == (None, False)


@pytest.mark.parametrize("token", ["me", BUYER[:-1], "{" + BUYER + "}", BUYER.replace("-", ""), 7])
def test_a_buyer_that_is_no_uuid_is_told_as_unreadable(token: Any) -> None:
    purchase = bought(appAccountToken=token)
    assert (purchase.profile_id, purchase.buyer_unreadable) == (None, True)


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        (9_990, "USD", 999),
        (990, "EUR", 99),
        (150_000, "JPY", 150),
        (1_250, "KWD", 1_250),
        (0, "USD", 0),
        (9_995, "USD", 1_000),
    ],
)
def test_a_price_in_thousandths_is_told_in_minor_units(
    price: int, currency: str, minor: int
) -> None:
    purchase = bought(price=price, currency=currency)
    assert (purchase.amount_minor, purchase.currency) == (minor, currency.lower())


@pytest.mark.parametrize("missing", ["price", "currency"])
def test_a_charge_may_tell_no_price(missing: str) -> None:
    purchase = bought(**{missing: None})
    assert (purchase.amount_minor, purchase.currency) == (None, None)


@pytest.mark.parametrize(("storefront", "country"), [("DEU", "DE"), ("XXX", None), (None, None)])
def test_a_storefront_is_a_country(storefront: str | None, country: str | None) -> None:
    assert bought(storefront=storefront).country_code == country


def test_a_sandbox_purchase_is_marked() -> None:
    of = signer("Sandbox")
    body = of.notify("ONE_TIME_CHARGE", of.transaction("1", AT), AT)
    found = APPLE.interpret(claimed(body))
    assert isinstance(found, StorePurchase)
    assert found.is_sandbox


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "Non-Consumable"}, "not_consumable"),
        ({"type": "Non-Renewing Subscription"}, "not_consumable"),
        ({"type": "Auto-Renewable Subscription"}, "subscription"),
        ({"inAppOwnershipType": "FAMILY_SHARED"}, "family_shared"),
    ],
)
def test_only_consumables_of_the_buyers_own_mean_anything(
    fields: dict[str, Any], reason: str
) -> None:
    for notification_type in ("ONE_TIME_CHARGE", "REFUND", "CONSUMPTION_REQUEST", "DID_RENEW"):
        assert told(notification_type, **fields) == ignored(reason)
    assert submitted(**fields) == ignored(reason)


# --- refunds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notification_type", "fields", "milli_percent"),
    [
        ("REFUND", {"revocationDate": 1, "revocationReason": 0}, 100_000),
        ("REFUND", {"revocationDate": 1, "revocationPercentage": 33_333}, 33_333),
        ("REFUND", {"revocationDate": 1, "revocationPercentage": 0}, 0),
        ("REFUND_REVERSED", {}, 0),
        ("REFUND_REVERSED", {"revocationDate": 1}, 0),
        ("REFUND_REVERSED", {"revocationDate": 1, "revocationPercentage": 66_667}, 66_667),
        ("REFUND_DECLINED", {}, 0),
        ("SOMETHING_NEW", {"revocationDate": 1}, 100_000),
    ],
)
def test_every_transaction_says_how_much_of_it_is_refunded(
    notification_type: str, fields: dict[str, Any], milli_percent: int
) -> None:
    assert told(notification_type, quantity=3, **fields) == StoreSnapshot(
        payment_keys=["2000001"],
        told_at=AT,
        store_app="dev.coinfleet.app",
        quantity=3,
        reversed_milli_percent=milli_percent,
    )


def test_a_purchase_says_what_is_refunded_already() -> None:
    assert bought(revocationDate=1, revocationPercentage=50_000).reversed_milli_percent == 50_000
    found = submitted(revocationDate=1)
    assert isinstance(found, StorePurchase)
    assert found.reversed_milli_percent == 100_000


# --- questions ---------------------------------------------------------------------------------


def test_a_consumption_request_is_a_question_for_twelve_hours() -> None:
    asked_at = AT + timedelta(hours=1)
    body = signer().notify(
        "CONSUMPTION_REQUEST",
        signer().transaction("2000001", AT),
        asked_at,
        consumptionRequestReason="UNINTENDED_PURCHASE",
    )
    assert APPLE.interpret(claimed(body)) == StoreInquiry(
        payment_keys=["2000001"],
        inquiry_id="2000001",
        store_app="dev.coinfleet.app",
        asked_at=asked_at,
        deadline=asked_at + timedelta(hours=12),
        reason="UNINTENDED_PURCHASE",
        told=StoreSnapshot(
            payment_keys=["2000001"],
            told_at=AT,
            store_app="dev.coinfleet.app",
            reversed_milli_percent=0,
        ),
    )


# --- submissions -------------------------------------------------------------------------------


def test_a_clients_submission_is_a_purchase_submitted_by_its_profile() -> None:
    found = submitted()
    assert isinstance(found, StorePurchase)
    assert (found.profile_id, found.submitted_by) == (None, UUID(BUYER))


def test_a_submission_is_stored_once_per_profile_and_transaction() -> None:
    body = signer().submission(signer().transaction("2000001", AT))
    stored = APPLE.read_submission(body, profile_id=UUID(BUYER), now_s=NOW_S)
    assert stored.provider_event_id == f"client:{BUYER}:2000001"
    assert stored.event_type == "client.purchase"
    assert json.loads(stored.payload) == {"profile_id": BUYER, "body": json.loads(body)}


@pytest.mark.parametrize("bad", [None, 7, "", "x" * 250, "a\nb"])
def test_a_submission_whose_transaction_has_no_usable_id_is_malformed(bad: Any) -> None:
    body = signer().submission({**signer().transaction("1", AT), "transactionId": bad})
    stored = APPLE.read_submission(body, profile_id=UUID(BUYER), now_s=NOW_S)
    assert (stored.state, stored.reason) == ("rejected", "malformed")


# --- what means nothing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"notificationType": "TEST", "data": {}}, "test"),
        ({"notificationType": "DID_RENEW", "data": {}}, "no_transaction"),
        ({"notificationType": "METADATA_UPDATE"}, "no_transaction"),
        ({"notificationType": "RENEWAL_EXTENSION", "summary": {}}, "summary"),
        (
            {"notificationType": "EXTERNAL_PURCHASE_TOKEN", "externalPurchaseToken": {}},
            "external_purchase_token",
        ),
        ({"notificationType": "RESCIND_CONSENT", "appData": {}}, "rescind_consent"),
    ],
)
def test_a_notification_without_a_transaction_means_nothing(
    payload: dict[str, Any], reason: str
) -> None:
    assert APPLE.interpret(claimed(signer().body(payload))) == ignored(reason)


HOSTILE: list[tuple[str, Any]] = [
    ("quantity", "2"),
    ("quantity", 1.9),
    ("quantity", 0),
    ("quantity", -1),
    ("quantity", 2**70),
    ("quantity", True),
    ("price", 9.99),
    ("price", -1),
    ("price", 2**63),
    ("currency", "DOLLARS"),
    ("purchaseDate", "now"),
    ("purchaseDate", 2**63),
    ("signedDate", None),
    ("signedDate", -1),
    ("revocationPercentage", 100_001),
    ("revocationPercentage", -1),
    ("revocationPercentage", 33.3),
    ("transactionId", 7),
    ("transactionId", "a\u0000b"),
    ("transactionId", "x" * 256),
    ("productId", None),
    ("productId", ""),
    ("type", 7),
    ("inAppOwnershipType", None),
    ("environment", None),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE)
def test_a_value_that_decides_must_have_its_type(name: str, value: Any) -> None:
    assert told("ONE_TIME_CHARGE", **{name: value}) == malformed()


@given(st.binary(max_size=200), st.sampled_from(["ANY", "client.purchase"]))
def test_any_bytes_mean_something(body: bytes, event_type: str) -> None:
    assert isinstance(APPLE.interpret(claimed(body, event_type)), Verdict)


@pytest.mark.parametrize(
    "content", [b"[" * 50_000, b"\xff", b'{"a": ' * 9_000, b""], ids=["deep", "bytes", "open", "no"]
)
def test_any_signed_bytes_mean_something(content: bytes) -> None:
    jws = leaf().sign(content)
    body = json.dumps({"signedPayload": jws}).encode()
    assert APPLE.interpret(claimed(body)) == malformed()
    stored = {"profile_id": BUYER, "body": {"signed_transaction": jws}}
    event = claimed(json.dumps(stored).encode(), "client.purchase")
    assert APPLE.interpret(event) == malformed()
