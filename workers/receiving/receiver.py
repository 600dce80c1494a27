"""The endpoint of POST /webhooks/{provider}: read, verify, store, and only then acknowledge.

Plain ASGI: here the microseconds of a request object matter. Does not interpret events, and never
logs a header or a body.
"""

from __future__ import annotations

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
)
from workers.receiving.intake import NotStored
from workers.receiving.verification import NotVerified
from workers.serving.answer import Answer
from workers.serving.body import HungUp, TooLarge, TooSlow, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from tasks.providers.provider import Provider
    from workers.receiving.intake import Intake
    from workers.receiving.refusals import Refusals
    from workers.receiving.verification import Verification

BODY_BYTES_MAX = 256 * 1024


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
        body = await take_body(headers, receive)
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


async def take_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | Answer:
    """Return the body, or the answer to one that is too large or too slow. Raises HungUp."""
    try:
        return await read_body(headers, receive, bytes_max=BODY_BYTES_MAX)
    except TooLarge:
        return TOO_LARGE
    except TooSlow:
        return TOO_SLOW
