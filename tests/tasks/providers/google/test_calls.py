"""Calls to Google: read, acknowledged, consumed and refunded once, whatever Google answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pytest
import pytest_asyncio

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.google.calls import GoogleCalls
from workers.mock_providers.google import PACKAGE, Item, Sold, account_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers.mock_providers.google import GoogleHost, GoogleServer
    from workers.mock_providers.google.server import Fault

COINS = "coins.100"
SECRETS = ("Jane", "example.com", "token.0001", "ya29", "PRIVATE")


@pytest_asyncio.fixture(scope="module")
async def made(
    host: GoogleHost, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GoogleCalls]:
    """Calls to the host, for all tests of the module: a client of HTTP takes long to make."""
    account = account_file(tmp_path_factory.mktemp("account"), host.base)
    made = GoogleCalls(account=account, base=host.base, fetch_price=True)
    made._api._http._interval_s = made._api._access._http._interval_s = 0
    yield made
    await made.close()


@pytest.fixture
def calls(google: GoogleServer, made: GoogleCalls) -> GoogleCalls:
    """Calls to the account, without an access token yet."""
    made._api._access._token = None
    made._api._http._timeout_s = 20
    return made


async def make(
    calls: GoogleCalls, kind: str, *, is_retry: bool = False, **request: Any
) -> dict[str, Any]:
    call = ProviderCall(cast("CallId", 1), kind, "key", request, 1, is_retry)
    return await calls.by_kind[kind](call)


async def fetch(calls: GoogleCalls, token: str, package: str = PACKAGE) -> dict[str, Any]:
    return await make(calls, "google.fetch_purchase", package=package, token=token)


async def deliver(calls: GoogleCalls, verb: str, sold: Sold) -> dict[str, Any]:
    product_ids = [item.product_id for item in sold.items]
    return await make(
        calls, f"google.{verb}", package=PACKAGE, token=sold.token, product_ids=product_ids
    )


async def refund(calls: GoogleCalls, sold: Sold, **more: Any) -> dict[str, Any]:
    return await make(
        calls,
        "google.refund",
        package=PACKAGE,
        order_id=sold.order_id,
        token=sold.token,
        decision_id=1,
        **more,
    )


async def test_a_purchase_is_read_with_its_order(google: GoogleServer, calls: GoogleCalls) -> None:
    sold = google.store.sell(Item(COINS), account_id="somebody")
    answer = await fetch(calls, sold.token)
    assert answer["package"] == PACKAGE
    assert answer["purchase"]["productLineItem"][0]["productId"] == COINS
    assert answer["order"]["total"]["nanos"] == 990_000_000
    assert answer["read_at"] > 0


async def test_texts_that_a_client_chose_can_be_stored(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS), account_id="a\0b")
    answer = await fetch(calls, sold.token)
    assert answer["purchase"]["obfuscatedExternalAccountId"] == "ab"


async def test_an_answer_of_another_shape_stops_no_other_call(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS, quantity=0))
    with pytest.raises(CallFailed, match="another shape") as failed:
        await fetch(calls, sold.token)
    assert not isinstance(failed.value, ProviderUnreachable)


async def test_without_the_right_to_see_money_a_purchase_has_no_price(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    google.may_see_money = False
    sold = google.store.sell(Item(COINS))
    answer = await fetch(calls, sold.token)
    assert answer["order"] is None
    assert answer["purchase"]


async def test_a_token_is_looked_for_in_each_app(google: GoogleServer, calls: GoogleCalls) -> None:
    sold = google.store.sell(Item(COINS), package="com.example.second")
    answer = await fetch(calls, sold.token, f"{PACKAGE},com.example.second")
    assert answer["package"] == "com.example.second"


async def test_a_token_that_google_denies_is_unknown(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    assert (await fetch(calls, "never-sold"))["unknown"] == 404
    sold = google.store.sell(Item(COINS), is_gone=True)
    assert (await fetch(calls, sold.token))["unknown"] == 410


async def test_one_access_token_serves_many_calls(google: GoogleServer, calls: GoogleCalls) -> None:
    sold = google.store.sell(Item(COINS))
    await asyncio.gather(*(fetch(calls, sold.token) for _ in range(4)))
    assert google.token_fetches == 1


async def test_an_access_token_that_counts_no_more_is_replaced(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS))
    await fetch(calls, sold.token)
    google.forget_access_tokens()
    with pytest.raises(KeyRefused):
        await fetch(calls, sold.token)
    assert (await fetch(calls, sold.token))["purchase"]
    assert google.token_fetches == 2


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (400, KeyRefused),
        (401, KeyRefused),
        (429, ProviderThrottled),
        (503, ProviderUnreachable),
        (b"", ProviderUnreachable),
        (b"[]", ProviderUnreachable),
        (b"{}", KeyRefused),
        (b'{"access_token": "a", "expires_in": "soon"}', ProviderUnreachable),
    ],
)
async def test_no_access_token_no_call(
    google: GoogleServer,
    calls: GoogleCalls,
    fault: int | bytes,
    expected: type[CallFailed],
) -> None:
    google.token_faults.append(fault)
    with pytest.raises(expected) as failed:
        await fetch(calls, "token.0001")
    assert not any(secret in str(failed.value) for secret in SECRETS)
    assert google.requests == []


FAULTS: list[tuple[Fault, type[Exception]]] = [
    ("throttled", ProviderThrottled),
    ("unauthorized", KeyRefused),
    ("forbidden", CallFailed),
    ("conflict", CallFailed),
    ("unavailable", ProviderUnreachable),
    ("empty", ProviderUnreachable),
    ("malformed", ProviderUnreachable),
    ("dripped", ProviderUnreachable),
    ("lost", ProviderUnreachable),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
async def test_a_fault_is_no_answer(
    google: GoogleServer, calls: GoogleCalls, fault: Fault, expected: type[Exception]
) -> None:
    sold = google.store.sell(Item(COINS))
    await fetch(calls, sold.token)
    calls._api._http._timeout_s = 0.2
    google.faults.append(fault)
    with pytest.raises(expected) as failed:
        await fetch(calls, sold.token)
    assert not any(secret in str(failed.value) for secret in SECRETS)
    if fault == "throttled":
        assert cast("CallFailed", failed.value).retry_after_s == 7


@pytest.mark.parametrize("verb", ["acknowledge", "consume"])
@pytest.mark.parametrize("fault", ["lost", "empty", "conflict", None])
async def test_what_was_delivered_is_told_once_whatever_comes_between(
    google: GoogleServer, calls: GoogleCalls, verb: str, fault: Fault | None
) -> None:
    sold = google.store.sell(Item(COINS), Item("gems"))
    if fault:
        await calls._api._access.get()
        calls._api._http._timeout_s = 0.2
        google.faults.append(fault)
    with suppress(CallFailed):
        await deliver(calls, verb, sold)
    calls._api._http._timeout_s = 20
    # Once more, as a worker does that was killed before it stored the answer.
    await deliver(calls, verb, sold)
    assert sold.acknowledged
    assert all(item.consumed for item in sold.items) == (verb == "consume")


@pytest.mark.parametrize("verb", ["acknowledge", "consume"])
async def test_a_purchase_that_went_back_needs_nothing(
    google: GoogleServer, calls: GoogleCalls, verb: str
) -> None:
    sold = google.store.sell(Item(COINS))
    google.store.refund(sold, revoke=True)
    assert await deliver(calls, verb, sold) == {"note": "canceled"}
    sold.is_gone = True
    assert await deliver(calls, verb, sold) == {"note": "gone"}


@pytest.mark.parametrize("verb", ["acknowledge", "consume"])
async def test_what_google_will_not_take_needs_a_person(
    google: GoogleServer, calls: GoogleCalls, verb: str
) -> None:
    sold = google.store.sell(Item(COINS), pending=True)
    with pytest.raises(CallRefused, match="400 invalidPurchaseState"):
        await deliver(calls, verb, sold)


async def test_an_order_is_refunded_once_and_its_products_are_revoked(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS))
    for is_retry in (False, True):
        done = await refund(calls, sold, is_retry=is_retry)
        assert (done["order_id"], done["state"]) == (sold.order_id, "REFUNDED")
        assert done["event"]["id"] == f"order:{sold.order_id}:REFUNDED"
    posts = [path for method, path in google.requests if method == "POST"]
    assert len(posts) == len(google.store.voided) == 1


@pytest.mark.parametrize("fault", ["lost", "empty", "unavailable", "conflict"])
async def test_a_refund_whose_answer_is_lost_is_made_once(
    google: GoogleServer, calls: GoogleCalls, fault: Fault
) -> None:
    sold = google.store.sell(Item(COINS))
    await fetch(calls, sold.token)
    calls._api._http._timeout_s = 0.2
    # The order is read first; then it is refunded.
    google.faults += ["none", fault]
    try:
        await refund(calls, sold)
    except CallFailed:
        calls._api._http._timeout_s = 20
        await refund(calls, sold, is_retry=True)
    assert sold.order_state == "REFUNDED"
    assert len(google.store.voided) == 1


async def test_a_refund_that_google_is_still_at_is_awaited(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS), refund_takes_reads=3)
    for attempt in range(3):
        with pytest.raises(CallFailed, match="PENDING_REFUND"):
            await refund(calls, sold, is_retry=attempt > 0)
    assert (await refund(calls, sold, is_retry=True))["state"] == "REFUNDED"
    assert len([method for method, _ in google.requests if method == "POST"]) == 1


async def test_a_purchase_without_an_order_cannot_be_refunded(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS), order_id=None)
    with pytest.raises(CallRefused, match="no order"):
        await refund(calls, sold)


async def test_googles_question_is_answered_and_the_first_answer_counts(
    google: GoogleServer, calls: GoogleCalls
) -> None:
    sold = google.store.sell(Item(COINS))
    token = google.store.ask_about(sold)
    for choice in ("DECLINE", "APPROVE"):
        await make(
            calls,
            "google.review_refund",
            package=PACKAGE,
            order_id=sold.order_id,
            pending_refund_token=token,
            choice=choice,
        )
    assert google.store.answered_reviews == {token: "DECLINE"}


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("google.fetch_purchase", {"package": "a/b", "token": "t"}),
        ("google.fetch_purchase", {"package": PACKAGE, "token": "a b"}),
        ("google.consume", {"package": PACKAGE, "token": "t", "product_ids": []}),
        ("google.acknowledge", {"package": PACKAGE}),
        ("google.review_refund", {"package": PACKAGE, "order_id": "GPA.1", "choice": "yes"}),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused(
    google: GoogleServer, calls: GoogleCalls, kind: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(CallRefused):
        await make(calls, kind, **request_)
    assert google.requests == []
