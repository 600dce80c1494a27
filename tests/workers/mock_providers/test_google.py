"""The mock of Google does what Google does with purchases, and answers as Google answered."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from workers.mock_providers.google import Item, Store, account_file, google_server
from workers.mock_providers.google.account import MockGoogle
from workers.mock_providers.google.answers import order_answer, purchase_answer
from workers.mock_providers.google.keys import ACCOUNT_FILE, signing_key
from workers.mock_providers.serving import serving
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from workers.mock_providers.sender import Outgoing

COINS = "coins"


def kinds(store: Store) -> list[str]:
    """What the developer was told."""
    return [name for told in store.told for name in told if name.endswith("Notification")]


@pytest.mark.parametrize(("is_test", "limit_s"), [(False, 3 * 86_400), (True, 300)])
def test_what_is_not_acknowledged_in_time_is_refunded(*, is_test: bool, limit_s: int) -> None:
    store = Store()
    late, kept = (store.sell(Item(COINS), is_test=is_test) for _ in range(2))
    store.acknowledge(kept)
    store.wait(seconds=limit_s)
    assert late.state == "PURCHASED"
    store.wait(seconds=1)
    assert (late.state, kept.state) == ("CANCELLED", "PURCHASED")
    (row,) = [row for _, row in store.voided]
    assert (row["voidedSource"], row["voidedReason"]) == (2, 8)
    assert kinds(store)[-1] == "voidedPurchaseNotification"


def test_what_is_repeated_is_refused() -> None:
    store = Store()
    sold = store.sell(Item(COINS))
    assert store.acknowledge(sold) is None
    assert store.acknowledge(sold) == (400, "invalidPurchaseState")
    assert store.consume(sold, COINS) is None
    assert store.consume(sold, COINS) == (400, "invalidPurchaseState")
    store.refund(sold, revoke=True)
    assert store.consume(sold, COINS) == (400, "productNotOwnedByUser")


def test_a_pending_purchase_has_no_time_and_can_not_be_consumed() -> None:
    store = Store()
    sold = store.sell(Item(COINS), pending=True)
    assert store.told == []
    assert "purchaseCompletionTime" not in purchase_answer(sold)
    assert store.consume(sold, COINS) == (400, "invalidPurchaseState")
    store.complete(sold)
    assert "purchaseCompletionTime" in purchase_answer(sold)
    assert kinds(store) == ["oneTimeProductNotification"]


def test_a_refund_without_revoking_is_told_by_nobody() -> None:
    store = Store()
    sold = store.sell(Item(COINS))
    before = kinds(store)
    store.refund(sold, revoke=False)
    assert (kinds(store), store.voided) == (before, [])
    assert order_answer(sold, store.now_s)["state"] == "REFUNDED"
    assert purchase_answer(sold)["purchaseStateContext"]["purchaseState"] == "PURCHASED"


async def test_an_access_token_needs_the_key_of_the_account(tmp_path: Path) -> None:
    async with google_server() as google, httpx.AsyncClient(base_url=google.base) as client:
        account = json.loads(account_file(tmp_path, google.base).read_text())
        now = int(time.time())
        claims = {
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/androidpublisher",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": now,
            "exp": now + 60,
        }
        forged = jwt.encode(claims, signing_key("other").private, algorithm="RS256")
        assert (await client.post("/token", data={"assertion": forged})).status_code == 400
        signed = jwt.encode(claims, account["private_key"], algorithm="RS256")
        assert (await client.post("/token", data={"assertion": signed})).status_code == 200


class Sent:
    """What the mock tells the fleet."""

    def __init__(self) -> None:
        self.webhooks: list[Outgoing] = []

    def put(self, webhook: Outgoing) -> None:
        self.webhooks.append(webhook)


def development() -> Settings:
    given: dict[str, Any] = {
        name.lower(): DEVELOPMENT_SECRETS[name]
        for name in ("GOOGLE_PACKAGES", "GOOGLE_PUSH_AUDIENCE", "GOOGLE_PUSH_EMAIL")
    }
    return Settings(**given)


async def test_the_account_of_make_run_pushes_what_becomes_of_its_sales(tmp_path: Path) -> None:
    mock, sent = MockGoogle(), Sent()
    told = mock.settings("http://127.0.0.1:1", tmp_path)
    assert (tmp_path / ACCOUNT_FILE).stat().st_mode & 0o77 == 0
    assert told["GOOGLE_SERVICE_ACCOUNT_FILE"] == str(tmp_path / ACCOUNT_FILE)
    server = mock.make_server(development(), sent, tmp_path)  # type: ignore[arg-type]
    account = json.loads((tmp_path / ACCOUNT_FILE).read_text())
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": "https://www.googleapis.com/auth/androidpublisher",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now,
        "exp": now + 60,
    }
    async with serving(server) as base, httpx.AsyncClient(base_url=base) as client:
        sale = {"token": "t1", "product_id": COINS, "quantity": 2, "refunded": 1}
        assert (await client.post("/mock/sales", json=[sale])).status_code == 204
        assert sent.webhooks == []
        assertion = jwt.encode(claims, account["private_key"], algorithm="RS256")
        answered = await client.post("/token", data={"assertion": assertion})
        headers = {"authorization": f"Bearer {answered.json()['access_token']}"}
        package = DEVELOPMENT_SECRETS["GOOGLE_PACKAGES"]
        apps = f"/androidpublisher/v3/applications/{package}"
        path = f"{apps}/purchases/productsv2/tokens/t1"
        bought = (await client.get(path, headers=headers)).json()
        path = f"{apps}/orders/{bought['orderId']}:refund?revoke=true"
        assert (await client.post(path, headers=headers)).is_success
        token = (await client.get("/mock/token")).text
        certificates = (await client.get("/oauth2/v1/certs")).json()
    (webhook,) = sent.webhooks
    assert webhook.path == "/webhooks/google"
    data = json.loads(b64decode(json.loads(webhook.body)["message"]["data"]))
    assert data["voidedPurchaseNotification"]["purchaseToken"] == "t1"
    (pem,) = certificates.values()
    certificate = load_pem_x509_certificate(pem.encode()).public_key()
    assert isinstance(certificate, RSAPublicKey)
    audience = DEVELOPMENT_SECRETS["GOOGLE_PUSH_AUDIENCE"]
    for signed in (token, webhook.sign(now)["authorization"].removeprefix("Bearer ")):
        assert jwt.decode(signed, certificate, algorithms=["RS256"], audience=audience)


def test_what_a_mock_before_it_said_is_nothing_of_a_new_one(tmp_path: Path) -> None:
    """The fleet keeps its books, and for hours its certificates, when it is started again."""
    mock = MockGoogle()
    mock.settings("http://127.0.0.1:1", tmp_path)
    made = [mock.make_server(development(), Sent(), tmp_path) for _ in range(2)]  # type: ignore[arg-type]
    first, second = (each.routes[-1].endpoint.__self__ for each in made)  # type: ignore[attr-defined]
    assert first._key.kid != second._key.kid
    assert first._store.sell(Item(COINS)).order_id != second._store.sell(Item(COINS)).order_id
