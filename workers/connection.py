"""One HTTP connection of `web`: uvicorn's own, with the bounds that it leaves open.

Whoever sends no end of headers, or none at all, is cut off; whoever comes while too many are here
hears 503 with the rest of what a sender of webhooks must know.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workers.receiver import NOT_STORED

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# Providers send under 2 KB of headers, proxies add as much; other servers allow 8 to 64 KB.
HEAD_BYTES_MAX = 64 * 1024
# A provider sends its headers at once. A connection that says nothing is one fewer for others.
HEAD_TIMEOUT_S = 10.0


class BoundedConnection(HttpToolsProtocol):
    """A connection whose requests begin within a time and a size."""

    _awaited_head: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = False
    _is_between = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self._begin_head()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the headers have no end. Those that come in one piece need no timer."""
        if self._is_between:
            self._begin_head()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response("The headers are too large.")
            else:
                self._await_head()

    def on_message_begin(self) -> None:
        """Begin with headers, also of a request that came along with its predecessor."""
        if self._is_between:
            self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin with the request."""
        self._end_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Whatever comes next is another request."""
        super().on_message_complete()
        self._is_between = True

    def _begin_head(self) -> None:
        self._in_head, self._is_between, self._head_bytes = True, False, 0

    def _await_head(self) -> None:
        if self._awaited_head is None:
            self._awaited_head = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._awaited_head is not None:
            self._awaited_head.cancel()
            self._awaited_head = None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # With too many here, uvicorn puts an answer of its own in place of the application's.
        heard: Any = app if app is self.app else _busy
        super()._start_asgi_task(cycle, heard)


async def _busy(_scope: Scope, _receive: Receive, send: Send) -> None:
    await NOT_STORED.send(send)
