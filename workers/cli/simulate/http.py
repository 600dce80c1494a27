"""A small HTTP client for the simulator: one request at a time over a connection that stays open.

A general client would use more of the machine than the fleet that is being tested. Reads no body:
the status is all that the simulator needs.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import NamedTuple

from db.errors import CoinfleetError

ANSWER_TIMEOUT_S = 15.0


class NoAnswer(CoinfleetError):
    """The receiver is unreachable, or closed the connection before it answered."""


class Address(NamedTuple):
    """Where the receiver listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"


class Connection:
    """An HTTP connection that stays open; opened when it is first used. One request at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """Send a request and return the status of its answer. Raises NoAnswer."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._send(request)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer from error

    async def _send(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(_header(head, b"content-length") or 0))
        if _header(head, b"connection") == b"close":
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _header(head: bytes, name: bytes) -> bytes | None:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else None


async def is_ready(address: Address) -> bool:
    """Return whether the receiver says that it is ready. Raises NoAnswer."""
    connection = Connection(address)
    try:
        status = await connection.send(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    finally:
        connection.close()
    return status == HTTPStatus.OK
