"""A TCP proxy before a server: it passes data on while open, refuses while closed, or hangs.

With it a test makes a database or queue unreachable for one process while the others keep it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """A proxy on a port of its own, before the server that `url` names; closed at first."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server_address = (parts.hostname, parts.port)
        self.is_frozen = False
        self._listener: asyncio.Server | None = None
        self._ends: list[_End] = []
        self._arrivals: set[asyncio.Task[None]] = set()
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self._port: int = chosen.getsockname()[1]
        account, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{account}{at}127.0.0.1:{self._port}").geturl()

    async def open(self) -> None:
        """Pass everything on."""
        self.is_frozen = False
        if self._listener is None:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: self._end(self._arrive), "127.0.0.1", self._port
            )

    async def freeze(self) -> None:
        """Keep all connections, and pass nothing on any more."""
        await self.open()
        self.is_frozen = True

    def hang(self) -> None:
        """Pass nothing on for present connections, but for new ones: a failover without a word."""
        for end in self._ends:
            end.is_hanging = True

    def route_to(self, url: str) -> None:
        """Connect new connections to another server; present ones stay where they are."""
        parts = urlsplit(url)
        self._server_address = (parts.hostname, parts.port)

    async def close(self) -> None:
        """Refuse new connections and abort the present ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for end in self._ends:
            end.cut()
        self._ends.clear()
        await asyncio.gather(*self._arrivals, return_exceptions=True)

    def _end(self, arrive: Callable[[_End], object]) -> _End:
        end = _End(self, arrive)
        self._ends.append(end)
        return end

    def _arrive(self, visitor: _End) -> None:
        task = asyncio.get_running_loop().create_task(self._lead(visitor))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _lead(self, visitor: _End) -> None:
        _, server = await asyncio.get_running_loop().create_connection(
            lambda: self._end(lambda _: None), *self._server_address
        )
        visitor.meet(server)
        server.meet(visitor)


class _End(asyncio.Protocol):
    """One end of a connection. It keeps what it receives until the other end is there."""

    def __init__(self, gate: Gate, arrive: Callable[[_End], object]) -> None:
        self._gate = gate
        self._arrive = arrive
        self.is_hanging = False
        self._other: _End | None = None
        self._heard = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._arrive(self)

    def meet(self, other: _End) -> None:
        """Pass on to this end from now on."""
        self._other = other
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._gate.is_frozen or self.is_hanging:
            return
        if self._other and self._other._transport:
            self._other._transport.write(self._heard)
            self._heard = b""

    def connection_lost(self, _error: Exception | None) -> None:
        if self._other:
            self._other.cut()

    def cut(self) -> None:
        """End the connection."""
        if self._transport:
            self._transport.abort()
