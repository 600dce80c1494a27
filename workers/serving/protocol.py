"""uvicorn's HTTP connection, corrected in four places where it fails or logs too much.

Refuses to speak anything but HTTP/1.1: a request for another protocol is answered as it is. Knows
no bound; connection.py adds them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOGGER = "uvicorn.error.connection"


def count_instead_of_logging() -> None:
    """Leave uvicorn's warnings of single requests to the counters; errors are logged as before."""
    logging.getLogger(LOGGER).setLevel(logging.ERROR)


class _Flow(FlowControl):
    """Flow control of a connection that may be closing: uvloop raises where asyncio doesn't."""

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            super().resume_reading()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            super().pause_reading()


class HttpConnection(HttpToolsProtocol):
    """One connection; answers its requests in their order."""

    _answered: Any = None
    """The request that is being answered, or was the last to be answered."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = logging.getLogger(LOGGER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a flow control that a closing connection doesn't break."""
        super().connection_made(transport)
        self.flow = _Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell each request that is not answered that its sender is gone; uvicorn tells one."""
        unanswered: Any = [self._answered, *(queued for queued, _ in self.pipeline)]
        for cycle in unanswered:
            if cycle and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._wants_upgrade():
                self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _wants_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its wish for another protocol, which we may ignore.

        The parser would leave out the body. Java's own client asks for h2c with each request.
        """
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name == b"connection" and b"close" in value.lower():
                head += [b"connection: close\r\n"]
            elif name not in {b"connection", b"upgrade", b"http2-settings"}:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"".join([*head, b"\r\n", rest]))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except RuntimeError:
                # uvloop raises it for a connection that has just closed: nobody gets the answer.
                if not self.transport.is_closing():
                    raise
                cycle.disconnected = True
            except asyncio.CancelledError:
                # The process stops. uvicorn would log each such request with its traceback.
                cycle.disconnected = True
                self.transport.abort()

        super()._start_asgi_task(cycle, answer)
