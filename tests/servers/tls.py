"""TLS before the servers of tests, which have none: a CA of the test, and a proxy in front."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pytest

from tests.conditions import DEADLINE_S

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from pathlib import Path

T = TypeVar("T")

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")
# What a client of PostgreSQL sends first when it wants TLS: a length and a code.
ASKS_FOR_TLS = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder of the test."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The file that clients trust."""
        return self.folder / "ca.crt"

    def make(self) -> None:
        """Make its key and certificate."""
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key"),
            *("-out", "ca.crt"),
        )

    def context(
        self, names: str = "DNS:localhost,IP:127.0.0.1", *, days: int = 2
    ) -> ssl.SSLContext:
        """Return the context of a server with these names, whose certificate ends in so many days.

        With less than none it has ended.
        """
        (self.folder / "names").write_text(f"subjectAltName={names}")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"),
        )
        self._openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", str(days), "-extfile", "names", "-out", "server.crt"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        return context

    def _openssl(self, *words: str) -> None:
        assert OPENSSL is not None
        subprocess.run([OPENSSL, *words], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def tls_before(address: str, context: ssl.SSLContext) -> Iterator[str]:
    """Serve TLS before this address; yields the address through it, without its query.

    Before PostgreSQL it answers the request for TLS first, and refuses a client that doesn't ask.
    """
    parts = urlsplit(address)
    is_postgres = parts.scheme.startswith("postgres")
    account, _, _ = parts.netloc.rpartition("@")
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        async with _hanging_up(writer):
            if is_postgres:
                if await reader.readexactly(len(ASKS_FOR_TLS)) != ASKS_FOR_TLS:
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            back, there = await asyncio.open_connection(parts.hostname, parts.port)
            async with _hanging_up(there):
                await asyncio.gather(_pass_on(reader, there), _pass_on(back, writer))

    def run(action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, loop).result(DEADLINE_S)

    server = run(asyncio.start_server(serve, "127.0.0.1", ssl=None if is_postgres else context))
    netloc = f"{account}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    encrypted = {"amqp": "amqps", "redis": "rediss"}
    scheme = encrypted.get(parts.scheme, parts.scheme)
    try:
        yield parts._replace(scheme=scheme, netloc=netloc, query="").geturl()
    finally:
        run(_stop(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def _hanging_up(writer: StreamWriter) -> AsyncIterator[None]:
    """Close the connection at the end, whichever side has closed it before."""
    with contextlib.suppress(OSError, EOFError):
        try:
            yield
        finally:
            writer.transport.abort()
            # The socket is closed in the loop's next round.
            await asyncio.sleep(0)


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
    target.close()


async def _stop(server: asyncio.Server) -> None:
    """Stop, and close the connections that are still open."""
    server.close()
    served = asyncio.all_tasks() - {asyncio.current_task()}
    for each in served:
        each.cancel()
    await asyncio.gather(*served, return_exceptions=True)
