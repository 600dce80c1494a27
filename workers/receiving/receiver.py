"""The endpoint of POST /webhooks/{provider}: read, verify, store, and only then acknowledge.

Plain ASGI, for it is the one place where the microseconds of a request object count. Refuses to
know what an event means; never logs a header or a body.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, get_args

from db.inbox import Stored
from tasks.providers.signed import Cause, NotAuthentic
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
# What is read of a body that is too large, so that its sender gets to the answer behind it.
DISCARDED_BYTES_MAX = 4 * 1024 * 1024
# A provider sends the whole body at once; a slow sender is not one.
BODY_TIMEOUT_S = 10.0
# Long enough for a restarted database, short enough for a buyer who waits for coins.
RETRY_AFTER_S = 5


_CLOSE = (b"connection", b"close")


class Answer:
    """What a sender is told; `result` is also the label under which metrics count it.

    One line of JSON, put together once: it says nothing of the request.
    """

    def __init__(
        self, status: int, result: str, *headers: tuple[bytes, bytes], cause: str | None = None
    ) -> None:
        body = b'{"result":"%s"}' % result.encode()
        self.status = status
        self.result = result
        # Why it was refused, for metrics; the sender of a forged one learns nothing of it.
        self.cause = cause or (result if status >= HTTPStatus.BAD_REQUEST else None)
        self._start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
        self._body: Message = {"type": "http.response.body", "body": body}
        lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
        lines += [b"%s: %s" % header for header in (*self._start["headers"], _CLOSE)]
        self.last_words = b"\r\n".join((*lines, b"", body))
        """The same as bytes, for a connection that closes behind them."""

    async def send(self, send: Send) -> None:
        """Send it."""
        await send(self._start)
        await send(self._body)


STORED = Answer(200, "stored")
SEEN = Answer(200, "seen")
MALFORMED = Answer(200, "malformed")
_NOT_AUTHENTIC = {cause: Answer(400, "not_authentic", cause=cause) for cause in get_args(Cause)}
UNKNOWN_PROVIDER = Answer(404, "unknown_provider")
TOO_SLOW = Answer(408, "too_slow", _CLOSE)
CONFLICT = Answer(409, "conflict")
TOO_LARGE = Answer(413, "too_large", _CLOSE)
NOT_STORED = Answer(503, "not_stored", (b"retry-after", b"%d" % RETRY_AFTER_S))


class _HungUp(Exception):
    """The sender went away before its body was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What receiving takes: the providers by name, the intake, and who counts."""

    providers: Mapping[str, Provider]
    verification: Verification
    intake: Intake
    note_received: Callable[[str, Answer], None]
    refusals: Refusals
    clock: Callable[[], float] = time.time

    async def receive(self, provider: str, scope: Scope, receive: Receive) -> Answer:
        """Decide what the sender of one request is told."""
        sender = self.providers.get(provider)
        if sender is None:
            return UNKNOWN_PROVIDER
        headers: dict[bytes, bytes] = dict(scope["headers"])
        declares_too_much = _declared_bytes(headers) > BODY_BYTES_MAX
        # Who waits to be asked for the body is not asked for one that is refused anyway.
        if declares_too_much and b"expect" in headers:
            return TOO_LARGE
        try:
            body = await _read_body(receive)
        except TimeoutError:
            return TOO_LARGE if declares_too_much else TOO_SLOW
        if body is None:
            return TOO_LARGE
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
            return _NOT_AUTHENTIC[refused.cause]
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
    """The ASGI application behind the route; asks the running app for its Receiver."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        provider = scope["path_params"]["provider"]
        receiver: Receiver = scope["state"]["receiver"]
        try:
            answer = await receiver.receive(provider, scope, receive)
        except _HungUp:
            return
        known = provider if provider in receiver.providers else "unknown"
        receiver.note_received(known, answer)
        if answer.cause is None:
            receiver.refusals.note_taken(known)
        else:
            receiver.refusals.note_refused(known, answer.cause)
        await answer.send(send)


def _declared_bytes(headers: Mapping[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


async def _read_body(receive: Receive) -> bytes | None:
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
        raise _HungUp
    return message
