"""The app as it is told what happens: checks each Standard Webhook and keeps what it heard.

Written from the specification, not from the product. It takes a message once by its webhook-id, as
a good receiver does, and can fail in each way that receivers fail.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request

# What happens to one message:
# failed, unavailable, throttled, gone, redirected, refused: it is not taken.
# lost: it is taken, and no answer comes. dripped: it is taken, and the answer never ends.
# long: it is taken, and the answer is a page of two megabytes.
Fault: TypeAlias = Literal[
    "failed",
    "unavailable",
    "throttled",
    "gone",
    "redirected",
    "refused",
    "lost",
    "dripped",
    "long",
]
STATUSES: dict[str, int] = {
    "failed": 500,
    "unavailable": 503,
    "throttled": 429,
    "gone": 410,
    "redirected": 307,
    "refused": 400,
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was taken."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


@dataclass(slots=True)
class MockApp:
    """What the app knows; `secrets` are those that it checks with, any of them."""

    secrets: Sequence[str]
    faults: list[Fault] = field(default_factory=list)
    """Of the next messages, in order; messages after them are taken."""
    always: Fault | None = None
    """Of every message, once `faults` are used up."""
    retry_after: str | None = None
    taken: dict[str, Message] = field(default_factory=dict)
    """By webhook-id."""
    arrivals: list[tuple[str, bytes]] = field(default_factory=list)
    """Id and body of each authentic request, repeated ones too."""
    not_authentic: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    silence: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let answers go that are `lost` or `dripped`."""

    def types(self) -> list[str]:
        """The types of the messages, in the order in which they were taken."""
        return [message.type for message in self.taken.values()]

    async def hear(self, request: Request) -> Response:
        """Take a message, or do what the next fault says."""
        body = await request.body()
        headers = dict(request.headers)
        self.headers.append(headers)
        self.paths.append(f"{request.url.path}?{request.url.query}")
        read = self._verified(body, headers)
        if read is None:
            self.not_authentic += 1
            return JSONResponse({"error": "not authentic"}, 401)
        message_id = headers["webhook-id"]
        self.arrivals.append((message_id, body))
        fault = self.faults.pop(0) if self.faults else self.always
        if fault in STATUSES:
            return self._failure(fault, str(request.url))
        self.taken.setdefault(message_id, Message(id=message_id, **read))
        return await self._end(fault)

    def tell(self, request: Request) -> Response:
        """Answer what was taken, for a program that looks from outside."""
        del request
        return JSONResponse(
            [
                {"id": message.id, "type": message.type, "data": message.data}
                for message in self.taken.values()
            ]
        )

    def _verified(self, body: bytes, headers: dict[str, str]) -> dict[str, Any] | None:
        for secret in self.secrets:
            try:
                read: dict[str, Any] = Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, ValueError):
                continue
            return read
        return None

    def _failure(self, fault: str, url: str) -> Response:
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        if fault == "redirected":
            headers["Location"] = url
        return JSONResponse({"error": "of Jane Doe"}, STATUSES[fault], headers)

    async def _end(self, fault: Fault | None) -> Response:
        match fault:
            case "lost":
                await self.silence.wait()
            case "dripped":
                return StreamingResponse(self._drips())
            case "long":
                return Response(b"x" * 2_000_000)
            case _:
                pass
        return Response(status_code=204)

    async def _drips(self) -> AsyncIterator[bytes]:
        while not self.silence.is_set():
            yield b"."
            await asyncio.sleep(0.05)


class Listener(Protocol):
    """What a server hands its requests to."""

    async def hear(self, request: Request) -> Response:
        """Take a message."""
        ...

    def tell(self, request: Request) -> Response:
        """Answer what was taken."""
        ...


def make_app(app: Listener) -> Starlette:
    """Return the server: messages go to any path; `GET /heard` answers what was taken."""
    return Starlette(
        routes=[
            Route("/heard", app.tell, methods=["GET"]),
            Route("/{path:path}", app.hear, methods=["POST"]),
        ]
    )
