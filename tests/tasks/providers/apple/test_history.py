"""Apple's notification history as it is read: each app, the sandbox and production."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tasks.providers.apple import Apple
from tasks.providers.calls import CallRefused, KeyRefused, ProviderThrottled, ProviderUnreachable
from tests.tasks.providers.apple.apps import AT, NOW_S, chain, leaf, signer
from workers.mock_providers.apple_signer import APP_APPLE_ID, BUNDLE_ID
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from db.backfills import KnownOrder
    from tasks.providers.history import History, Page

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ISSUER = "57246542-96fe-1a63-e053-0824d011072a"
PAGE = 20
NOW = datetime.fromtimestamp(NOW_S, UTC)


@dataclass(slots=True)
class Server:
    """Apple's history of one environment, newest first; refuses what Apple refuses."""

    keeps: timedelta
    base: str = ""
    sent: list[tuple[datetime, str]] = field(default_factory=list)
    """When, and the signed payload."""
    faults: list[int] = field(default_factory=list)
    requests: int = 0
    is_released: bool = True
    body: bytes | None = None

    def send(self, signed: bytes, at: datetime) -> None:
        """Send a notification that nobody receives."""
        self.sent.insert(0, (at, json.loads(signed)["signedPayload"]))

    async def answer(self, request: Request) -> Response:
        self.requests += 1
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            token, KEY.public_key(), algorithms=["ES256"], audience="appstoreconnect-v1"
        )
        assert jwt.get_unverified_header(token)["kid"] == "KEY1234567"
        assert (claims["iss"], claims["bid"]) == (ISSUER, BUNDLE_ID)
        assert 0 < claims["exp"] - claims["iat"] <= 3_600
        if not self.is_released:
            return PlainTextResponse("Unauthenticated", 401)
        if self.faults:
            # Apple's Retry-After is a time in milliseconds.
            headers = {"retry-after": str(int((datetime.now(UTC).timestamp() + 60) * 1_000))}
            return JSONResponse({"errorCode": 4290000}, self.faults.pop(0), headers)
        if self.body is not None:
            return Response(self.body)
        asked = json.loads(await request.body())
        begin, end = (
            datetime.fromtimestamp(asked[name] / 1_000, UTC) for name in ("startDate", "endDate")
        )
        assert NOW - begin < self.keeps
        found = [signed for at, signed in self.sent if begin <= at <= end]
        offset = int(request.query_params.get("paginationToken", "0"))
        more = len(found) > offset + PAGE
        told: dict[str, Any] = {
            "notificationHistory": [
                {"signedPayload": each, "sendAttempts": []}
                for each in found[offset : offset + PAGE]
            ],
            "hasMore": more,
        }
        return JSONResponse(told | ({"paginationToken": str(offset + PAGE)} if more else {}))


@dataclass(slots=True)
class Store:
    """Both environments, and the provider that asks them."""

    production: Server
    sandbox: Server
    apple: Apple

    @property
    def history(self) -> History:
        found = self.apple.history()
        assert found is not None
        return found

    def send(self, number: int, *, sandbox: bool = False, **ago: float) -> None:
        """Send so many notifications so long ago."""
        server = self.sandbox if sandbox else self.production
        who = signer("Sandbox" if sandbox else "Production")
        at = NOW - timedelta(**ago)
        for no in range(number):
            transaction = who.transaction(f"{len(server.sent) + no + 1}", at)
            server.send(who.notify("ONE_TIME_CHARGE", transaction, at), at)

    async def read(self, cursor: str | None = None, *, days: float = 2) -> list[Page]:
        since = NOW - timedelta(days=days)
        return [page async for page in self.history.pages(since, NOW, cursor, orders=no_orders)]


async def no_orders(_after: KnownOrder | None, _limit: int) -> list[KnownOrder]:
    return []


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Store]:
    """Apple's API, without notifications."""
    production, sandbox = Server(timedelta(days=180)), Server(timedelta(days=30))
    apps = [
        Starlette(routes=[Route("/{path:path}", each.answer, methods=["POST"])])
        for each in (production, sandbox)
    ]
    async with serving(apps[0]) as production.base, serving(apps[1]) as sandbox.base:
        apple = Apple(
            apps={BUNDLE_ID: APP_APPLE_ID},
            root_certificates=[chain().root],
            issuer_id=ISSUER,
            key_id="KEY1234567",
            private_key_file=PEM,
            api_base=production.base,
            sandbox_api_base=sandbox.base,
        )
        assert apple._history
        for http in apple._history._api._http.values():
            http._interval_s = 0
        yield Store(production, sandbox, apple)
        await apple.close()


def ids(pages: list[Page]) -> list[str]:
    return [event.arrival.provider_event_id for page in pages for event in page.events]


async def test_each_notification_is_listed_as_apple_signed_it(store: Store) -> None:
    store.send(1, sandbox=True, hours=3)
    store.send(1, hours=2)
    pages = await store.read()
    events = [event for page in pages for event in page.events]
    bodies = [json.loads(event.arrival.payload)["signedPayload"] for event in events]
    assert bodies == [store.sandbox.sent[0][1], store.production.sent[0][1]]
    assert [event.arrival.event_type for event in events] == ["ONE_TIME_CHARGE"] * 2
    assert [event.made_at for event in events] == [
        (NOW - timedelta(hours=hours)).replace(microsecond=0) for hours in (3, 2)
    ]
    # The same id as its webhook has.
    webhook = store.apple.verify(events[0].arrival.payload, {}, now_s=NOW_S)
    assert webhook.provider_event_id == events[0].arrival.provider_event_id


async def test_pages_of_20_are_read_on_from_any_of_them(store: Store) -> None:
    store.send(45, hours=3)
    store.send(21, sandbox=True, hours=3)
    pages = await store.read()
    assert [len(page.events) for page in pages] == [20, 1, 20, 20, 5]
    assert len(set(ids(pages))) == 66
    since = NOW - timedelta(days=2)
    assert [page.reaches == since for page in pages] == [True] * 4 + [False]
    for done, page in enumerate(pages, start=1):
        assert ids(await store.read(page.cursor)) == ids(pages[done:])


async def test_each_environment_is_asked_for_what_it_keeps(store: Store) -> None:
    store.send(1, days=100)
    store.send(1, sandbox=True, days=10)
    assert len(ids(await store.read(days=180))) == 2


async def test_an_app_that_was_never_released_has_no_production(store: Store) -> None:
    store.production.is_released = False
    store.send(1, sandbox=True, hours=3)
    pages = await store.read()
    assert len(ids(pages)) == 1
    assert pages[-1].reaches == NOW
    store.sandbox.is_released = False
    with pytest.raises(KeyRefused):
        await store.read()


async def test_what_apple_did_not_sign_is_left_out(store: Store) -> None:
    forger = signer(of=leaf(name="forged"))
    store.production.send(forger.notify("TEST", None, AT), AT)
    store.send(1, hours=1)
    assert len(ids(await store.read())) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, ProviderThrottled), (500, ProviderUnreachable), (400, CallRefused)],
)
async def test_failures_have_their_class(store: Store, status: int, error: type[Exception]) -> None:
    store.sandbox.faults = [status]
    with pytest.raises(error) as raised:
        await store.read()
    assert str(raised.value) == f"{status} 4290000"
    if isinstance(raised.value, ProviderThrottled):
        assert 50 < (raised.value.retry_after_s or 0) <= 60


async def test_an_unreadable_answer_says_nothing(store: Store) -> None:
    for body in (b"", b'{"hasMore": true}', b"[" * 1_000):
        store.sandbox.body = body
        with pytest.raises(ProviderUnreachable):
            await store.read()
    with pytest.raises(CallRefused):
        await store.read("nonsense")


def test_without_a_key_there_is_no_history() -> None:
    assert Apple(apps={BUNDLE_ID: APP_APPLE_ID}).history() is None
