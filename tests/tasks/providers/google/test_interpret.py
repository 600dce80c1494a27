"""What Google's events mean: a push only asks, and what was read decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from db.facts import LineItem, Question, StoreInquiry, StorePurchase, StoreVoid, Verdict
from tests.tasks.providers.google.events import (
    AT,
    BUYER,
    answer,
    interpret,
    later,
    store,
    submission,
    told,
    unknown,
)
from workers.mock_providers.google import PACKAGE, Item, Sold, push_of

pytestmark = pytest.mark.requirement("C11")

COINS = "coins.100"


def bought(**changes: Any) -> tuple[bytes, Sold]:
    """A push that tells of a purchase, and the purchase."""
    of = store()
    sold = of.sell(Item(COINS), account_id=str(BUYER), **changes)
    return told(of), sold


def purchase(fact: object) -> StorePurchase:
    assert isinstance(fact, StorePurchase), fact
    return fact


def verdict(fact: object) -> tuple[str, str]:
    assert isinstance(fact, Verdict), fact
    return fact.state, fact.reason


def again(fact: object) -> tuple[str, int | None]:
    """Why and how long an event waits for the next answer."""
    assert isinstance(fact, Question), fact
    return fact.reason, fact.call.again_after_s


def test_a_push_asks_for_its_purchase() -> None:
    payload, sold = bought()
    fact = interpret(payload)
    assert isinstance(fact, Question)
    assert (fact.call.kind, fact.call.key) == ("google.fetch_purchase", "coinfleet:fetch:m1")
    assert fact.call.request == {"package": PACKAGE, "token": sold.token}
    assert again(fact) == ("no_answer_yet", None)


def test_what_was_read_is_the_purchase() -> None:
    payload, sold = bought()
    assert interpret(payload, answer(sold)) == StorePurchase(
        provider_payment_id=sold.token,
        payment_keys=[sold.token, str(sold.order_id)],
        store_app=PACKAGE,
        purchased_at=AT,
        told_at=later(1),
        line_items=[LineItem(product_id=COINS, quantity=1, reversed_quantity=0)],
        profile_id=BUYER,
        country_code="US",
        is_acknowledged=False,
        is_consumed=False,
    )


def test_a_purchase_without_an_order_has_one_name() -> None:
    payload, sold = bought(order_id=None)
    assert purchase(interpret(payload, answer(sold))).payment_keys == [sold.token]


@pytest.mark.parametrize(
    ("account", "buyer", "is_unreadable"),
    [
        (str(BUYER).upper(), BUYER, False),
        (BUYER.hex, BUYER, False),
        ("somebody", None, True),
        (None, None, False),
        ("", None, False),
    ],
)
def test_the_buyer_is_whom_google_names(
    account: str | None, buyer: object, *, is_unreadable: bool
) -> None:
    payload, sold = bought()
    sold.account_id = account
    fact = purchase(interpret(payload, answer(sold)))
    assert (fact.profile_id, fact.buyer_unreadable) == (buyer, is_unreadable)


def test_products_and_quantities_are_those_of_the_answer() -> None:
    of = store()
    sold = of.sell(Item(COINS, quantity=3, refunded=1), Item("gems", tells_refundable=False))
    assert purchase(interpret(told(of), answer(sold))).line_items == [
        LineItem(product_id=COINS, quantity=3, reversed_quantity=1),
        LineItem(product_id="gems", quantity=1, reversed_quantity=None),
    ]


def test_a_product_in_two_lines_is_one() -> None:
    of = store()
    sold = of.sell(Item(COINS, quantity=2, refunded=1), Item(COINS, quantity=3, refunded=1))
    assert purchase(interpret(told(of), answer(sold))).line_items == [
        LineItem(product_id=COINS, quantity=5, reversed_quantity=2)
    ]


def test_an_absent_quantity_is_one() -> None:
    payload, sold = bought()
    answered = answer(sold)
    answered["purchase"]["productLineItem"] = [{"productId": COINS}]
    assert purchase(interpret(payload, answered)).line_items == [LineItem(product_id=COINS)]


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        (("USD", 12, 340_000_000), (1234, "usd")),
        (("JPY", 150, 0), (150, "jpy")),
        (("KWD", 1, 234_000_000), (1234, "kwd")),
        (("EUR", 0, 0), (0, "eur")),
        (("E1", 1, 0), (None, None)),
        (("USD", 10**15 - 1, 0), (None, None)),
    ],
)
def test_the_price_is_that_of_the_order(
    price: tuple[str, int, int], amount: tuple[int | None, str | None]
) -> None:
    payload, sold = bought(price=price)
    fact = purchase(interpret(payload, answer(sold, order=True)))
    assert (fact.amount_minor, fact.currency) == amount


def test_a_license_tester_pays_nothing() -> None:
    payload, sold = bought(is_test=True)
    assert purchase(interpret(payload, answer(sold))).is_sandbox


def test_what_is_consumed_is_consumed_whole() -> None:
    of = store()
    sold = of.sell(Item(COINS, consumed=True), Item("gems"), acknowledged=True)
    fact = purchase(interpret(told(of), answer(sold)))
    assert (fact.is_acknowledged, fact.is_consumed) == (True, False)


@pytest.mark.parametrize(
    ("after_s", "pause_s"), [(1, 30), (100, 100), (1_000, 1_000), (90_000, 3_600)]
)
def test_a_pending_purchase_is_read_again_at_growing_pauses(after_s: int, pause_s: int) -> None:
    of = store()
    sold = of.sell(Item(COINS), pending=True)
    fact = interpret(submission(sold), answer(sold, after_s=after_s), event_type="client.purchase")
    assert again(fact) == ("not_paid_yet", pause_s)


def test_a_purchase_of_an_unknown_state_is_read_again() -> None:
    payload, sold = bought()
    answered = answer(sold)
    for context in ({"purchaseState": "PURCHASE_STATE_UNSPECIFIED"}, {}):
        answered["purchase"]["purchaseStateContext"] = context
        assert again(interpret(payload, answered)) == ("not_paid_yet", 30)


def test_a_pending_purchase_that_was_canceled_is_nothing() -> None:
    of = store()
    sold = of.sell(Item(COINS), pending=True)
    of.cancel_pending(sold)
    assert verdict(interpret(told(of), answer(sold))) == ("ignored", "canceled")


def test_a_purchase_that_was_canceled_after_it_was_paid_is_reversed_whole() -> None:
    of = store()
    sold = of.sell(Item(COINS, tells_refundable=False))
    of.refund(sold, revoke=True)
    fact = purchase(interpret(told(of), answer(sold)))
    assert fact.reversed_milli_percent == 100_000


def test_a_void_of_some_is_read_from_the_purchase() -> None:
    of = store()
    sold = of.sell(Item(COINS, quantity=3))
    of.refund_some(sold, sold.items[0], 1)
    payload = told(of)
    assert isinstance(interpret(payload, event_type="voided_purchase"), Question)
    fact = purchase(interpret(payload, answer(sold), event_type="voided_purchase"))
    assert fact.reversed_milli_percent == 0
    assert fact.line_items == [LineItem(product_id=COINS, quantity=3, reversed_quantity=1)]


def test_a_void_of_a_purchase_that_google_forgot_is_a_void() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    of.refund(sold, revoke=True)
    payload = told(of)
    assert again(interpret(payload, unknown())) == ("unknown_token_yet", 30)
    assert interpret(payload, unknown(after_s=600, status=410)) == StoreVoid(
        payment_keys=[sold.token, str(sold.order_id)],
        told_at=AT,
        store_app=PACKAGE,
        voided_quantity=None,
    )


@pytest.mark.parametrize("status", [400, 404, 410])
def test_an_unknown_token_is_asked_for_ten_minutes(status: int) -> None:
    payload, _ = bought()
    # The pauses grow, and the last one ends when the ten minutes do.
    for after_s, pause_s in ((200, 200), (400, 200), (599, 30)):
        answered = unknown(after_s=after_s, status=status)
        assert again(interpret(payload, answered)) == ("unknown_token_yet", pause_s)
    answered = unknown(after_s=600, status=status)
    assert verdict(interpret(payload, answered)) == ("rejected", "unknown_token")


def test_a_clock_that_is_behind_makes_no_event_old() -> None:
    payload, _ = bought()
    assert again(interpret(payload, unknown(after_s=-900))) == ("unknown_token_yet", 30)


def test_a_client_says_nothing_but_a_token() -> None:
    of = store()
    sold = of.sell(Item(COINS), account_id=None)
    payload = submission(sold)
    fact = interpret(payload, event_type="client.purchase")
    assert isinstance(fact, Question)
    assert fact.call.request == {"package": PACKAGE, "token": sold.token}
    fact = purchase(interpret(payload, answer(sold), event_type="client.purchase"))
    assert (fact.submitted_by, fact.profile_id) == (BUYER, None)


def test_a_client_of_one_of_several_apps_is_asked_about_in_each() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    fact = interpret(
        submission(sold), event_type="client.purchase", packages=(PACKAGE, "com.example.second")
    )
    assert isinstance(fact, Question)
    assert fact.call.request["package"] == f"{PACKAGE},com.example.second"


def test_a_worker_without_packages_leaves_them_to_web() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    assert isinstance(interpret(told(of), packages=()), Question)
    fact = interpret(submission(sold), event_type="client.purchase", packages=())
    assert verdict(fact) == ("failed", "GOOGLE_PACKAGES is missing")


def test_another_product_than_was_submitted_is_refused() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    fact = interpret(submission(sold, "coins.10000"), answer(sold), event_type="client.purchase")
    assert verdict(fact) == ("rejected", "other_product")


def test_a_question_about_a_refund_is_an_inquiry() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    token = of.ask_about(sold)
    assert interpret(told(of)) == StoreInquiry(
        payment_keys=[str(sold.order_id)],
        inquiry_id=token,
        store_app=PACKAGE,
        asked_at=AT,
        deadline=later(24 * 3_600),
        reason="CHARGEBACK",
    )


def test_a_row_of_the_list_of_voids_is_a_void() -> None:
    of = store()
    sold = of.sell(Item(COINS, quantity=3))
    of.refund_some(sold, sold.items[0], 2)
    payload = json.dumps({"package": PACKAGE, "row": of.voided[0][1]}).encode()
    assert interpret(payload, event_type="backfill.voided") == StoreVoid(
        payment_keys=[sold.token, str(sold.order_id)],
        told_at=AT,
        store_app=PACKAGE,
        voided_quantity=2,
    )


def listed(sold: Sold) -> bytes:
    order = answer(sold, order=True)["order"]
    return json.dumps({"package": PACKAGE, "order": order}).encode()


def test_a_refunded_order_is_a_void() -> None:
    of = store()
    sold = of.sell(Item(COINS))
    of.refund(sold, revoke=False)
    assert interpret(listed(sold), event_type="backfill.order") == StoreVoid(
        payment_keys=[sold.token, str(sold.order_id)],
        told_at=later(1),
        store_app=PACKAGE,
        voided_quantity=None,
    )


def test_a_partly_refunded_order_is_read_and_counts_by_its_money_too() -> None:
    of = store()
    sold = of.sell(Item(COINS, quantity=3, tells_refundable=False), price=("USD", 9, 0))
    sold.partial_refunds.append(("USD", 3, 0))
    sold.order_state = "PARTIALLY_REFUNDED"
    payload = listed(sold)
    assert isinstance(interpret(payload, event_type="backfill.order"), Question)
    fact = purchase(interpret(payload, answer(sold), event_type="backfill.order"))
    assert fact.reversed_milli_percent == 33_333
    assert (fact.amount_minor, fact.currency) == (900, "usd")


@pytest.mark.parametrize(
    ("notification", "expected"),
    [
        ({"testNotification": {"version": "1.0"}}, ("ignored", "test")),
        ({"subscriptionNotification": {"notificationType": 4}}, ("ignored", "subscription")),
        ({"somethingNew": {}}, ("ignored", "other")),
        (
            {
                "voidedPurchaseNotification": {
                    "purchaseToken": "t",
                    "orderId": "GPA.1",
                    "productType": 1,
                    "refundType": 1,
                }
            },
            ("ignored", "subscription"),
        ),
        (
            {
                "oneTimeProductNotification": {
                    "notificationType": 3,
                    "purchaseToken": "t",
                    "sku": COINS,
                }
            },
            ("ignored", "unknown_type"),
        ),
        ({"oneTimeProductNotification": {"notificationType": 1}}, ("rejected", "malformed")),
        ({"eventTimeMillis": "9" * 15}, ("rejected", "malformed")),
    ],
)
def test_what_moves_nothing(notification: dict[str, Any], expected: tuple[str, str]) -> None:
    data = {"version": "1.0", "packageName": PACKAGE, "eventTimeMillis": "1795000000000"}
    assert verdict(interpret(push_of(data | notification))) == expected


def test_an_app_that_is_not_ours_is_refused() -> None:
    payload, sold = bought(package="com.example.other")
    assert verdict(interpret(payload, answer(sold))) == ("rejected", "other_package")


@pytest.mark.parametrize(
    "changes",
    [
        {"productLineItem": [{"productId": COINS, "productOfferDetails": {"quantity": "2"}}]},
        {"productLineItem": [{"productId": COINS, "productOfferDetails": {"quantity": 1.5}}]},
        {"productLineItem": [{"productId": COINS, "productOfferDetails": {"quantity": 0}}]},
        {"productLineItem": [{"productId": COINS, "productOfferDetails": {"quantity": 2**63}}]},
        {"productLineItem": [{"productId": ""}]},
        {"productLineItem": []},
        {"productLineItem": None},
        {"purchaseCompletionTime": 1_795_000_000},
        {"purchaseCompletionTime": None},
        {"orderId": "a b"},
    ],
)
def test_an_answer_of_another_shape_is_no_purchase(changes: dict[str, Any]) -> None:
    payload, sold = bought()
    answered = answer(sold)
    answered["purchase"] |= changes
    assert verdict(interpret(payload, answered)) == ("rejected", "malformed")


@pytest.mark.parametrize(
    "event_type", ["test", "client.purchase", "backfill.voided", "backfill.order", "new"]
)
@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b"[" * 3_000, b'{"a": 1e400}'])
def test_any_bytes_have_a_meaning(event_type: str, payload: bytes) -> None:
    assert verdict(interpret(payload, event_type=event_type)) == ("rejected", "malformed")
