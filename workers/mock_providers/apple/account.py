"""Apple as `make run` uses it: the simulator says what Apple sent, and the fleet may ask for it.

Production is asked at 127.0.0.1 and the sandbox at localhost, on one port. What it knows is gone
when it ends.
"""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tasks.providers.apple import Apple
from workers.mock_providers.apple.server import ISSUER_ID, KEY_ID, AppleServer
from workers.mock_providers.apple_signer import AppleSigner, Chain, key_of
from workers.mock_providers.sender import Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from workers.mock_providers.sender import Sender
    from workers.settings import Settings

log = structlog.get_logger(__name__)

KEY_FILE = "apple_private_key.p8"
SANDBOX_HOST = "localhost"
# Older notifications are listed no more.
NOTIFICATIONS_MAX = 10_000


class _Body(msgspec.Struct):
    signedPayload: str  # noqa: N815 - the names are Apple's


class _Data(msgspec.Struct):
    environment: str
    signedTransactionInfo: str | None = None  # noqa: N815


class _Payload(msgspec.Struct):
    signedDate: int  # noqa: N815
    data: _Data


class _Transaction(msgspec.Struct):
    transactionId: str  # noqa: N815


_BODIES = msgspec.json.Decoder(list[_Body])
_PAYLOAD = msgspec.json.Decoder(_Payload)
_TRANSACTION = msgspec.json.Decoder(_Transaction)


class MockApple:
    """See `workers.mock_providers.mock.Mock`."""

    name = Apple.name

    def settings(self, base: str, folder: Path) -> Mapping[str, str]:
        """Return where Apple's API is, and a key for it, which is written to the folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / KEY_FILE
        pem = account_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.touch(mode=0o600)
        file.write_bytes(pem)
        return {
            "APPLE_API_BASE": base,
            "APPLE_SANDBOX_API_BASE": base.replace("127.0.0.1", SANDBOX_HOST),
            "APPLE_ISSUER_ID": ISSUER_ID,
            "APPLE_KEY_ID": KEY_ID,
            "APPLE_PRIVATE_KEY_FILE": str(file),
            # Nobody is a customer here.
            "APPLE_CUSTOMERS_CONSENTED": "true",
        }

    def make_server(self, settings: Settings, sender: Sender, folder: Path) -> Starlette:
        """Return the server; the simulator itself sends what Apple tells."""
        del folder
        return _Account(settings, sender).server


class _Account:
    def __init__(self, settings: Settings, sender: Sender) -> None:
        apps = tuple(settings.apple_apps or ())
        self._sender = sender
        self._environments = {
            name: AppleServer(account_key().public_key(), apps, name)
            for name in ("Production", "Sandbox")
        }
        self.server = Starlette(
            routes=[
                # Not of Apple: the simulator says here what Apple sent.
                Route("/mock/notifications", self._tell, methods=["POST"]),
                Route("/{path:path}", self._answer, methods=["GET", "POST", "PUT"]),
            ]
        )

    async def _tell(self, request: Request) -> Response:
        for body in _BODIES.decode(await request.body()):
            payload = _PAYLOAD.decode(_signed_part(body.signedPayload))
            environment = self._environments[payload.data.environment]
            environment.notifications.append((payload.signedDate, body.signedPayload))
            del environment.notifications[:-NOTIFICATIONS_MAX]
            if (signed := payload.data.signedTransactionInfo) is not None:
                transaction = _TRANSACTION.decode(_signed_part(signed))
                environment.transactions[transaction.transactionId] = signed
        return Response(status_code=204)

    async def _answer(self, request: Request) -> Response:
        is_sandbox = request.url.hostname == SANDBOX_HOST
        environment = self._environments["Sandbox" if is_sandbox else "Production"]
        environment.now_ms = int(time.time() * 1_000)
        tests, environment.test_result = environment.tests, None
        answer = await environment.answer(request)
        if environment.tests > tests:
            self._send_test(environment, f"{environment.environment}-{environment.tests}")
        # What only tests look at.
        del environment.requests[:], environment.claims[:]
        log.info(
            "asked",
            provider=Apple.name,
            environment=environment.environment,
            method=request.method,
            path=request.url.path,
            status=answer.status_code,
        )
        return answer

    def _send_test(self, environment: AppleServer, token: str) -> None:
        """Send a test notification to the fleet, and note under its token what became of it."""
        signer = AppleSigner(leaf=Chain().leaf(), environment=environment.environment)
        body = signer.notify("TEST", None, datetime.now(UTC))

        def note(status: int) -> None:
            is_taken = status < 300
            environment.test_results[token] = (
                "SUCCESS" if is_taken else "UNSUCCESSFUL_HTTP_RESPONSE_CODE"
            )

        self._sender.put(
            Outgoing(
                provider=Apple.name,
                event_type="TEST",
                path=f"/webhooks/{Apple.name}",
                body=body,
                sign=lambda _: {},
                ended=note,
            )
        )


def account_key() -> ec.EllipticCurvePrivateKey:
    """Return the key with which the fleet asks."""
    return key_of("coinfleet asks its mock of Apple", ec.SECP256R1())


def _signed_part(signed: str) -> bytes:
    """Return the payload of a JWS; who signed it does not matter here."""
    _, payload, _ = signed.split(".")
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
