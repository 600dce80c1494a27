"""A stand-in for Supabase's pooler: it speaks the start of the protocol, and has the same errors.

They are FATAL with the code of an internal error, XX000, and begin with a code of the pooler's own.
A client that is accepted is connected to the server behind it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing import Self

FULL = (
    "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size:"
    " {sessions}"
)
NO_CLIENT_MORE = "(EMAXCLIENTCONN) max client connections reached, limit: {sessions}"
NOTHING_FREE = "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms"
_SSL_REQUEST = 80877103


class Supavisor:
    """Lets so many sessions through to the server that `url` names; `async with` opens it."""

    def __init__(self, url: str, *, sessions: int, refusal: str = FULL) -> None:
        parts = urlsplit(url)
        self._server_address = (parts.hostname, parts.port)
        self.sessions = sessions
        self._refusal = refusal
        self.refused = 0
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        account, at, _ = parts.netloc.rpartition("@")
        netloc = f"{account}{at}127.0.0.1:{port}"
        self.url = parts._replace(netloc=netloc, query="pooler=session").geturl()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._meet, sock=self._socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                startup = await _startup(reader, writer)
                if self._open < self.sessions:
                    await self._let_in(startup, reader, writer)
                else:
                    self.refused += 1
                    writer.write(_fatal(self._refusal.format(sessions=self.sessions)))
                    await writer.drain()
        finally:
            writer.transport.abort()

    async def _let_in(
        self, startup: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open += 1
        try:
            from_server, to_server = await asyncio.open_connection(*self._server_address)
            to_server.write(startup)
            ways = [
                asyncio.create_task(_pass_on(reader, to_server)),
                asyncio.create_task(_pass_on(from_server, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                to_server.transport.abort()
        finally:
            self._open -= 1


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read the client's first message; encryption is declined."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        if code != _SSL_REQUEST:
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")
        await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()


def _fatal(message: str) -> bytes:
    """Write an ErrorResponse as Supavisor does."""
    fields = {"S": "FATAL", "V": "FATAL", "C": "XX000", "M": message}
    body = b"".join(f"{name}{value}".encode() + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body
