"""What `coinfleet doctor` finds at Apple: whose root counts, and the way of a test notification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate

from tasks.findings import Finding, Verdict
from tasks.providers.apple.api import AppStoreApi
from tasks.providers.apple.checks import ASKED_TIMES, AppleChecks
from tests.provoking import noted
from tests.tasks.providers.apple.apps import chain
from workers.mock_providers.apple.account import account_key
from workers.mock_providers.apple.server import ISSUER_ID, KEY_ID, AppleServer, apple_server
from workers.mock_providers.apple_signer import BUNDLE_ID
from workers.settings.apple import DEVELOPMENT_ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BROKEN, ATTENTION, OK = Verdict.BROKEN, Verdict.ATTENTION, Verdict.OK
NOT_CHECKED = Verdict.NOT_CHECKED
PEM = account_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Apple:
    """Both environments, and what is asked of them."""

    def __init__(self, production: AppleServer, sandbox: AppleServer) -> None:
        self.production = production
        self.sandbox = sandbox

    async def ask(self, **key: Any) -> list[Finding]:
        """Run the check."""
        given: dict[str, Any] = {"issuer_id": ISSUER_ID, "key_id": KEY_ID, "private_key": PEM}
        api = AppStoreApi(
            **(given | key), base=self.production.base, sandbox_base=self.sandbox.base
        )
        for http in api._http.values():
            http._interval_s = 0
        checks = AppleChecks(bundle_ids=[BUNDLE_ID], roots=[], api=api, pause_s=0)
        try:
            found = await {row.name: row for row in checks.rows()}["apple notification"].ask()
        finally:
            await api.close()
        assert all(
            each.fix and each.code for each in noted(found) if each.verdict in (BROKEN, ATTENTION)
        )
        assert not any("Jane" in f"{each.what}{each.fix}" for each in found)
        return found


@pytest_asyncio.fixture(scope="module")
async def host() -> AsyncIterator[Apple]:
    """Where Apple is, for the tests of this file: starting and ending it takes a while."""
    key = account_key().public_key()
    async with (
        apple_server(key, apps=[BUNDLE_ID]) as production,
        apple_server(key, apps=[BUNDLE_ID], environment="Sandbox") as sandbox,
    ):
        yield Apple(production, sandbox)


@pytest.fixture
def apple(host: Apple) -> Apple:
    """Apple, with an app that was released."""
    for server in (host.production, host.sandbox):
        server.requests, server.faults, server.test_results = [], [], {}
        server.tests, server.test_result = 0, "SUCCESS"
        server.has_address = server.is_released = True
    return host


def told(findings: list[Finding]) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.what) for each in findings]


async def test_a_notification_that_comes_is_well(apple: Apple) -> None:
    assert told(await apple.ask()) == [
        (OK, f"{BUNDLE_ID} (production): Apple sent a test notification, and `web` took it")
    ]
    assert apple.production.tests == 1
    assert apple.sandbox.requests == []


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("SSL_ISSUE", "(SSL_ISSUE: it does not trust the certificate of `web`"),
        ("UNSUCCESSFUL_HTTP_RESPONSE_CODE", "`web` did not answer 200 to 206)"),
        ("OF_LATER_TIMES", "(OF_LATER_TIMES)"),
    ],
)
@pytest.mark.provokes("apple_notification_refused")
async def test_a_notification_that_web_does_not_take_is_found(
    apple: Apple, result: str, said: str
) -> None:
    apple.production.test_result = result
    ((verdict, what),) = told(await apple.ask())
    assert (verdict, said in what) == (BROKEN, True), what


async def test_a_notification_that_is_not_sent_yet_is_asked_for_some_times(apple: Apple) -> None:
    apple.production.test_result = None
    ((verdict, what),) = told(await apple.ask())
    assert (verdict, "has not sent the test notification yet" in what) == (NOT_CHECKED, True)
    assert len(apple.production.requests) == 1 + ASKED_TIMES


@pytest.mark.provokes("apple_address_missing")
async def test_an_app_without_an_address_is_found(apple: Apple) -> None:
    apple.production.has_address = False
    assert told(await apple.ask()) == [
        (BROKEN, f"{BUNDLE_ID} (production): no address for notifications is set at Apple")
    ]


async def test_an_app_that_was_never_released_is_asked_for_in_the_sandbox(apple: Apple) -> None:
    apple.production.is_released = False
    found = told(await apple.ask())
    assert found[0] == (
        OK,
        f"{BUNDLE_ID} (sandbox): Apple sent a test notification, and `web` took it",
    )
    assert [verdict for verdict, _ in found[1:]] == [NOT_CHECKED]
    apple.sandbox.has_address = False
    assert told(await apple.ask()) == [
        (BROKEN, f"{BUNDLE_ID} (sandbox): no address for notifications is set at Apple")
    ]


@pytest.mark.provokes("key_refused")
async def test_a_key_that_apple_does_not_take_is_found(apple: Apple) -> None:
    ((verdict, what),) = told(await apple.ask(key_id="OF_NOBODY1"))
    assert (verdict, "does not take our key" in what) == (BROKEN, True)


@pytest.mark.long_but_first
@pytest.mark.parametrize("fault", ["unavailable", "throttled"])
async def test_an_apple_that_is_away_is_not_checked(apple: Apple, fault: Any) -> None:
    apple.production.faults = [fault]
    assert {each.verdict for each in await apple.ask()} == {NOT_CHECKED}


async def test_without_a_key_nothing_is_asked() -> None:
    rows = AppleChecks(bundle_ids=[BUNDLE_ID], roots=[], api=None).rows()
    for row in rows:
        (finding,) = await row.ask()
        assert finding.verdict is NOT_CHECKED


@pytest.mark.provokes("apple_root_foreign")
async def test_a_root_that_is_not_apples_is_found() -> None:
    pem = load_pem_x509_certificate(DEVELOPMENT_ROOT.read_bytes())
    development = pem.public_bytes(Encoding.DER)
    for roots, verdict in (
        ([development], OK),
        ([chain().root], ATTENTION),
        ([development, chain().root], ATTENTION),
    ):
        checks = AppleChecks(bundle_ids=[BUNDLE_ID], roots=roots, api=None)
        (finding,) = noted(await checks.check_root())
        assert finding.verdict is verdict


def test_the_fingerprint_of_apples_root_is_the_one_in_the_docs() -> None:
    docs = (Path(__file__).parents[4] / "docs" / "providers.md").read_text(encoding="utf-8")
    from tasks.providers.apple.checks import ROOT_G3  # noqa: PLC0415

    assert ROOT_G3 in docs.lower().replace(":", "").replace(" ", "")
