"""Apple's mock: what it refuses as Apple does, and the account of `make run`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from db.outbox.provider_calls import CallId, ProviderCall
from tasks.providers.apple import Apple
from workers.cli.simulate.stores.apple import signer
from workers.mock_providers.apple.account import MockApple
from workers.mock_providers.apple_signer import BUNDLE_ID
from workers.mock_providers.serving import serving
from workers.mock_providers.table import MOCKS
from workers.providers import build_providers
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BOUGHT = "2000000123456789"


@pytest_asyncio.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    """The account of `make run`."""
    server = MockApple().make_server(settings({}), Any, tmp_path)  # type: ignore[arg-type]
    async with serving(server) as base:
        yield base


def settings(given: dict[str, str]) -> Settings:
    """Return the settings of a fleet in development."""
    names = ("APPLE_APPS", "APPLE_ROOT_CERTIFICATES")
    values: Any = {name: DEVELOPMENT_SECRETS[name] for name in names} | given
    return Settings(**{name.lower(): value for name, value in values.items()})


def provider(base: str, folder: Path) -> Apple:
    """Return Apple as a worker of the fleet has it."""
    found = build_providers(settings(dict(MockApple().settings(base, folder))))[Apple.name]
    assert isinstance(found, Apple)
    return found


async def tell(base: str, *bodies: bytes) -> None:
    async with httpx.AsyncClient(base_url=base) as client:
        told = await client.post("/mock/notifications", content=b"[" + b",".join(bodies) + b"]")
    assert told.status_code == 204


def sold(environment: str, at: datetime) -> bytes:
    who = signer(environment)
    return who.notify("ONE_TIME_CHARGE", who.transaction(BOUGHT, at), at)


def test_apple_is_one_of_the_mocks() -> None:
    assert Apple.name in [mock.name for mock in MOCKS]


async def test_what_was_told_is_found_in_the_history_of_its_environment(
    base: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    await tell(base, sold("Production", now), sold("Sandbox", now - timedelta(hours=1)))
    apple = provider(base, tmp_path)
    history = apple.history()
    assert history is not None
    since = now - timedelta(days=2)
    pages = [
        page
        async for page in history.pages(since, now + timedelta(minutes=1), None, orders=no_orders)
    ]
    assert [len(page.events) for page in pages] == [1, 1]
    await apple.close()


async def no_orders(_after: object, _limit: int) -> list[Any]:
    return []


@pytest.mark.parametrize("environment", ["Production", "Sandbox"])
async def test_an_answer_is_taken_by_the_environment_of_its_transaction(
    base: str, tmp_path: Path, environment: str
) -> None:
    await tell(base, sold(environment, datetime.now(UTC)))
    apple = provider(base, tmp_path)
    ((kind, make),) = apple.calls().items()
    request = {
        "transaction_id": BOUGHT,
        "bundle_id": BUNDLE_ID,
        "environment": environment,
        "delivery_status": "DELIVERED",
        "consumption_percentage": 0,
        "refund_preference": "DECLINE",
        "deadline": time.time() + 60.5,
    }
    key = f"coinfleet:consumption:{BOUGHT}"
    call = ProviderCall(CallId(1), kind, key, request, 1, is_retry=False)
    assert await make(call) == {"answered": "DECLINE"}
    await apple.close()


async def test_a_request_without_a_token_is_refused_in_plain_text(base: str) -> None:
    async with httpx.AsyncClient(base_url=base) as client:
        refused = await client.get(f"/inApps/v1/transactions/{BOUGHT}")
    assert (refused.status_code, refused.headers["content-type"].split(";")[0]) == (
        401,
        "text/plain",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"customerConsented": False},
        {"deliveryStatus": "LOST"},
        {"refundPreference": "GRANT_PRORATED"},
        {"consumptionPercentage": 100_001},
    ],
)
async def test_what_apple_does_not_take_is_refused(
    base: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    await tell(base, sold("Production", datetime.now(UTC)))
    apple = provider(base, tmp_path)
    assert apple._api is not None
    token = apple._api._token(BUNDLE_ID)
    told = {
        "customerConsented": True,
        "sampleContentProvided": False,
        "deliveryStatus": "DELIVERED",
    } | changes
    async with httpx.AsyncClient(base_url=base) as client:
        refused = await client.put(
            f"/inApps/v2/transactions/consumption/{BOUGHT}",
            content=json.dumps(told),
            headers={"authorization": f"Bearer {token}"},
        )
    assert refused.status_code == 400
    await apple.close()
