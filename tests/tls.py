"""TLS before the tests' servers, which speak none: a CA of the test's own and a server in front."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.conditions import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")
# What a client of PostgreSQL sends first when it wants TLS: a length and a code.
ASKS_FOR_TLS = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder of the test's."""

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

    def context(self, names: str = "DNS:localhost,IP:127.0.0.1") -> ssl.SSLContext:
        """Return what a server of these names presents."""
        (self.folder / "names").write_text(f"subjectAltName={names}")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"),
        )
        self._openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt"),
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

    Before PostgreSQL it answers the request for TLS first, and refuses who doesn't ask.
    """
    parts = urlsplit(address)
    is_postgres = parts.scheme.startswith("postgres")
    account, _, _ = parts.netloc.rpartition("@")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(32) as threads:

        def serve(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                client.settimeout(DEADLINE_S)
                if is_postgres:
                    if client.recv(len(ASKS_FOR_TLS), socket.MSG_WAITALL) != ASKS_FOR_TLS:
                        return
                    client.sendall(b"S")
                server = socket.create_connection((parts.hostname, parts.port))
                with server, context.wrap_socket(client, server_side=True) as here:
                    back = threads.submit(_pass_on, server, here)
                    _pass_on(here, server)
                    back.result()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threads.submit(serve, listener.accept()[0])

        threads.submit(accept)
        netloc = f"{account}@127.0.0.1:{listener.getsockname()[1]}"
        scheme = parts.scheme if is_postgres else "rediss"
        try:
            yield parts._replace(scheme=scheme, netloc=netloc, query="").geturl()
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
