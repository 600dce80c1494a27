"""What the app is told: each message is a Standard Webhook to one address, sent until it is taken.

It says what became of a gift or a purchase. Keeps nothing of an answer but its status, and follows
no redirect.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook

from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    CallsUnwanted,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.calls import MakeCall
    from tasks.providers.http import Answer

DELIVER = "app.deliver"
# The specification wants less than 20 KB; ours have less than 4.
BODY_BYTES_MAX = 20_000
# An answer's body says nothing to us; one as short as this leaves the connection open for the next.
ANSWER_BYTES_READ = 4_096
REQUESTS_PER_S = 500.0


class AppDeliveries:
    """The address of the app, and the secrets with which each message is signed.

    Both of two secrets sign while the app changes from one to the other. Raises ValueError for an
    address that is neither https nor loopback.
    """

    def __init__(self, *, url: str, secrets: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        self._signers = [Webhook(secret) for secret in secrets]
        self._http = HttpApi(
            f"{parts.scheme}://{parts.netloc}",
            headers={"Content-Type": "application/json", "User-Agent": "coinfleet"},
            requests_per_s=REQUESTS_PER_S,
            reads_only_bytes=ANSWER_BYTES_READ,
        )
        self.by_kind: Mapping[str, MakeCall] = {DELIVER: self.deliver}

    async def deliver(self, call: ProviderCall) -> dict[str, Any]:
        """Send a message; its id is the call's key, so that the app can tell a repeated one.

        Raises CallFailed unless the app takes it, and CallsUnwanted if the app answers 410: it
        wants no messages any more.
        """
        message = call.request
        if not message:
            raise CallRefused("the message was removed")
        # Always in this order, so that each attempt sends the same bytes.
        body = msgspec.json.encode({name: message[name] for name in ("type", "timestamp", "data")})
        if len(body) >= BODY_BYTES_MAX:
            raise CallRefused("the message is too large")
        headers = self._sign(call.key, body)
        return _taken(await self._http.send("POST", self._path, headers=headers, body=body))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _sign(self, message_id: str, body: bytes) -> dict[str, str]:
        """Return the headers of this attempt."""
        # In UTC: the library takes the digits of any zone for UTC's.
        now = datetime.now(UTC).replace(microsecond=0)
        text = body.decode()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                signer.sign(message_id, now, text) for signer in self._signers
            ),
        }


def _taken(answer: Answer) -> dict[str, Any]:
    """Return what to store if the app took the message; raise what its answer says otherwise."""
    status, wait_s = answer.status, answer.retry_after_s
    if 200 <= status < 300:
        return {"status": status}
    match status:
        case 410:
            raise CallsUnwanted("410: the app wants no messages at this address")
        case 429:
            raise ProviderThrottled(str(status), retry_after_s=wait_s)
        case 502 | 503 | 504 if wait_s is not None:
            raise ProviderThrottled(str(status), retry_after_s=wait_s)
        case _ if status >= 500:
            raise ProviderUnreachable(str(status), retry_after_s=wait_s)
        # The app answers, but not to this message: others may be taken.
        case _:
            raise CallFailed(str(status), retry_after_s=wait_s)
