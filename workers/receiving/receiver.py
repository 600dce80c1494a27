"""The endpoint of POST /webhooks/{provider}: read, verify, store, and only then acknowledge.

Plain ASGI: here the microseconds of a request object matter. Does not interpret events, and never
logs a header or a body.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.inbox.arrivals import Stored
from tasks.providers.signed import NotAuthentic
from workers.receiving.answers import (
    CONFLICT,
    MALFORMED,
    NOT_AUTHENTIC,
    NOT_STORED,
    SEEN,
    STORED,
    TOO_LARGE,
    TOO_SLOW,
    UNKNOWN_PROVIDER,
    Answer,
)
from workers.receiving.intake import NotStored
from workers.receiving.verification import NotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope, Send

    from tasks.providers.provider import Provider
    from workers.receiving.intake import Intake
    from workers.receiving.refusals import Refusals
    from workers.receiving.verification import Verification

BODY_BYTES_MAX = 256 * 1024
# So much of a body that is too large is read, so that its sender reads the answer.
DISCARDED_BYTES_MAX = 4 * 1024 * 1024
# A provider sends the whole body at once; a slow sender is not one.
BODY_TIMEOUT_S = 10.0


class HungUp(Exception):
    """The sender closed the connection before its body was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What receiving uses: the providers by name, the intake, and what counts the answers."""

    providers: Mapping[str, Provider]
    verification: Verification
    intake: Intake
    note_received: Callable[[str, Answer], None]
    refusals: Refusals
    clock: Callable[[], float] = time.time

    async def receive(self, provider: str, scope: Scope, receive: Receive) -> Answer:
        """Read one request; return its answer. Raises HungUp if its sender is gone."""
        sender = self.providers.get(provider)
        if sender is None:
            return UNKNOWN_PROVIDER
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_body(headers, receive)
        if isinstance(body, Answer):
            return body
        return await self._store(sender, body, headers)

    async def _store(
        self, provider: Provider, body: bytes, headers: Mapping[bytes, bytes]
    ) -> Answer:
        now_s = self.clock()
        try:
            if provider.is_slow(body, headers):
                arrival = await self.verification.verify(provider, body, headers, now_s=now_s)
            else:
                arrival = provider.verify(body, headers, now_s=now_s)
            found = await self.intake.put(arrival)
        except NotAuthentic as refused:
            if refused.late_s is not None:
                self.refusals.log_stale(provider.name, refused.late_s)
            return NOT_AUTHENTIC[refused.cause]
        except (NotStored, NotVerified):
            return NOT_STORED
        if arrival.state == "rejected":
            return MALFORMED
        match found:
            case Stored.STORED:
                return STORED
            case Stored.CONFLICT if provider.body_is_fixed:
                return CONFLICT
            case Stored.SEEN | Stored.CONFLICT:
                return SEEN


class WebhookEndpoint:
    """The ASGI application of the route; uses the Receiver in the state of the request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        provider = scope["path_params"]["provider"]
        receiver: Receiver = scope["state"]["receiver"]
        try:
            answer = await receiver.receive(provider, scope, receive)
        except HungUp:
            return
        known = provider if provider in receiver.providers else "unknown"
        receiver.note_received(known, answer)
        if answer.cause is None:
            receiver.refusals.note_accepted(known)
        else:
            receiver.refusals.note_refused(known, answer.cause)
        await answer.send(send)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | Answer:
    """Return the body, or the answer to one that is too large or too slow. Raises HungUp."""
    declares_too_much = _declared_bytes(headers) > BODY_BYTES_MAX
    # A sender that waits before it sends the body need not send one that is refused anyway.
    if declares_too_much and b"expect" in headers:
        return TOO_LARGE
    try:
        body = await _read_parts(receive)
    except TimeoutError:
        return TOO_LARGE if declares_too_much else TOO_SLOW
    return TOO_LARGE if body is None else body


def _declared_bytes(headers: Mapping[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


async def _read_parts(receive: Receive) -> bytes | None:
    """Read the body, or None if it is too large, whatever its content-length said.

    Raises TimeoutError for a slow sender.
    """
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_TIMEOUT_S):
        while size <= DISCARDED_BYTES_MAX:
            message = await _next(receive)
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= BODY_BYTES_MAX:
                parts.append(part)
            if not message.get("more_body"):
                break
    return b"".join(parts) if size <= BODY_BYTES_MAX else None


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUp
    return message
