"""Answers to Apple about consumption: what is sent, where to, and whatever goes wrong with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers.apple import Apple
from tasks.providers.apple.api import AppStoreApi
from tasks.providers.apple.calls import ANSWER_CONSUMPTION, answer_consumption
from tasks.providers.calls import CallFailed, CallRefused, KeyRefused, ProviderThrottled
from tests.tasks.providers.apple.apps import chain
from workers.mock_providers.apple.server import ISSUER_ID, KEY_ID, AppleServer, Fault, apple_server
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
# Apple's ids of transactions are numbers.
BOUGHT = "2000000123456789"
DELIVERED = {
    "customerConsented": True,
    "sampleContentProvided": False,
    "deliveryStatus": "DELIVERED",
    "consumptionPercentage": 0,
}


@pytest_asyncio.fixture
async def production() -> AsyncIterator[AppleServer]:
    """Apple, which knows the transaction."""
    async with apple_server(KEY.public_key(), apps=[BUNDLE_ID]) as server:
        server.transactions[BOUGHT] = "signed"
        yield server


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[AppleServer]:
    """Apple's sandbox, which knows the transaction, too."""
    async with apple_server(KEY.public_key(), apps=[BUNDLE_ID], environment="Sandbox") as server:
        server.transactions[BOUGHT] = "signed"
        yield server


@pytest_asyncio.fixture
async def api(production: AppleServer, sandbox: AppleServer) -> AsyncIterator[AppStoreApi]:
    """Our side."""
    api = AppStoreApi(
        issuer_id=ISSUER_ID,
        key_id=KEY_ID,
        private_key=PEM,
        base=production.base,
        sandbox_base=sandbox.base,
    )
    for http in api._http.values():
        # Our own rate and limit are tested elsewhere.
        http._interval_s, http._timeout_s = 0, 1.0
    yield api
    await api.close()


def call(**changes: Any) -> ProviderCall:
    """The call that the database wrote."""
    request = {
        "transaction_id": BOUGHT,
        "bundle_id": BUNDLE_ID,
        "environment": "Production",
        "delivery_status": "DELIVERED",
        "consumption_percentage": 0,
        "refund_preference": None,
        "deadline": time.time() + 3_600.5,
    }
    key = f"coinfleet:consumption:{BOUGHT}"
    return ProviderCall(CallId(1), ANSWER_CONSUMPTION, key, request | changes, 1, is_retry=False)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, DELIVERED),
        (
            {"consumption_percentage": 33_333, "refund_preference": "GRANT_PRORATED"},
            DELIVERED | {"consumptionPercentage": 33_333, "refundPreference": "GRANT_PRORATED"},
        ),
        (
            {
                "delivery_status": "UNDELIVERED_OTHER",
                "consumption_percentage": None,
                "refund_preference": "GRANT_FULL",
            },
            {
                "customerConsented": True,
                "sampleContentProvided": False,
                "deliveryStatus": "UNDELIVERED_OTHER",
                "refundPreference": "GRANT_FULL",
            },
        ),
    ],
)
async def test_apple_is_told_what_was_decided(
    api: AppStoreApi,
    production: AppleServer,
    sandbox: AppleServer,
    wanted: dict[str, Any],
    told: dict[str, Any],
) -> None:
    preference = wanted.get("refund_preference") or "NO_PREFERENCE"
    assert await answer_consumption(api, call(**wanted)) == {"answered": preference}
    assert production.consumption == {BOUGHT: told}
    assert sandbox.requests == []


async def test_a_sandbox_transaction_is_answered_at_the_sandbox(
    api: AppStoreApi, production: AppleServer, sandbox: AppleServer
) -> None:
    await answer_consumption(api, call(environment="Sandbox"))
    assert sandbox.consumption == {BOUGHT: DELIVERED}
    assert production.requests == []


async def test_an_answer_that_is_too_late_is_not_sent(
    api: AppStoreApi, production: AppleServer
) -> None:
    made = await answer_consumption(api, call(deadline=time.time() - 1))
    assert made == {"note": "too_late"}
    assert production.requests == []


@pytest.mark.parametrize("fault", ["throttled", "unavailable", "failed", "lost", "dripped"])
async def test_whatever_goes_wrong_the_next_try_ends_with_one_answer(
    api: AppStoreApi, production: AppleServer, fault: Fault
) -> None:
    production.faults = [fault]
    with pytest.raises(CallFailed) as caught:
        await answer_consumption(api, call())
    assert "Jane" not in str(caught.value)
    assert await answer_consumption(api, call()) == {"answered": "NO_PREFERENCE"}
    assert production.consumption == {BOUGHT: DELIVERED}


async def test_apples_retry_after_is_a_time_in_milliseconds(
    api: AppStoreApi, production: AppleServer
) -> None:
    production.faults = ["throttled"]
    production.retry_after_ms = int((time.time() + 100) * 1_000)
    with pytest.raises(ProviderThrottled) as caught:
        await answer_consumption(api, call())
    assert caught.value.retry_after_s == pytest.approx(100, abs=20)


async def test_a_transaction_that_apple_does_not_know_is_refused_for_good(
    api: AppStoreApi,
) -> None:
    with pytest.raises(CallRefused, match="404 4040010"):
        await answer_consumption(api, call(transaction_id="2"))
    with pytest.raises(CallRefused, match="400 4000006"):
        await answer_consumption(api, call(transaction_id="not-a-number"))


async def test_a_key_that_apple_refuses_is_said_to_be(
    api: AppStoreApi, production: AppleServer
) -> None:
    production.is_released = False
    with pytest.raises(KeyRefused):
        await answer_consumption(api, call())


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": "Xcode"},
        {"delivery_status": "SOMETHING"},
        {"refund_preference": "APPROVE"},
        {"consumption_percentage": 100_001},
        {"deadline": None},
        {"transaction_id": ""},
    ],
)
async def test_a_request_that_can_not_be_read_is_not_sent(
    api: AppStoreApi, production: AppleServer, wrong: dict[str, Any]
) -> None:
    with pytest.raises(CallRefused):
        await answer_consumption(api, call(**wrong))
    assert production.requests == []


@pytest.mark.parametrize(
    ("consented", "key", "kinds"),
    [(True, PEM, {ANSWER_CONSUMPTION}), (False, PEM, set()), (True, None, set())],
)
async def test_no_call_is_made_without_consent_or_key(
    *, consented: bool, key: str | None, kinds: set[str]
) -> None:
    apple = Apple(
        apps={BUNDLE_ID: APP_APPLE_ID},
        root_certificates=[chain().root],
        issuer_id=ISSUER_ID,
        key_id=KEY_ID,
        private_key_file=key,
        customers_consented=consented,
    )
    assert set(apple.calls()) == kinds
    await apple.close()
