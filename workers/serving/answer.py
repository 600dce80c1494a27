"""An answer that is made once and sent many times: a line of JSON that tells nothing of a request.

Also as bytes, for a connection that is closed after it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Send

_CLOSE = (b"connection", b"close")


class Answer:
    """What a sender is told; `result` is also the label under which metrics count it.

    `cause` says for metrics why a webhook was refused; a sender who forged one is not told.
    """

    def __init__(
        self, status: int, result: str, *headers: tuple[bytes, bytes], cause: str | None = None
    ) -> None:
        body = b'{"result":"%s"}' % result.encode()
        self.status = status
        self.result = result
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
        self.closing_bytes = b"\r\n".join((*lines, b"", body))
        """The whole answer, for a connection that is closed after it."""

    async def send(self, send: Send) -> None:
        """Send it as ASGI messages."""
        await send(self._start)
        await send(self._body)
