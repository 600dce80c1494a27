"""PgBouncer before a test's server, in either of the modes that our addresses name."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from typing import IO, TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from workers.embedded.account import server_prefix
from workers.embedded.server import HOST, EmbeddedServer, Pause

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BINARY = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
needs_pgbouncer = pytest.mark.skipif(
    BINARY is None, reason="PgBouncer isn't installed: apt-get install pgbouncer"
)

SETTINGS = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = {own_host}
listen_port = {own_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {sessions}
ignore_startup_parameters = {dropped}
"""


class PgBouncer(EmbeddedServer):
    """PgBouncer before the server that these addresses name, with so many sessions for each."""

    name = "pgbouncer"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        data_dir: Path,
        addresses: Iterable[str],
        *,
        sessions: int,
        mode: Literal["transaction", "session"] = "transaction",
        dropped: Iterable[str] = ("extra_float_digits",),
    ) -> None:
        super().__init__(data_dir)
        self._dropped = dropped
        self._mode = mode
        self._addresses = [urlsplit(address) for address in addresses]
        self._sessions = sessions
        self._home = self.data_dir / "pgbouncer"

    def url(self, address: str) -> str:
        """Return the address of the same database here, as an operator would write it."""
        parts = urlsplit(address)
        account, _, _ = parts.netloc.rpartition("@")
        netloc = f"{account}@{HOST}:{self.port}"
        return parts._replace(netloc=netloc, query=f"pooler={self._mode}").geturl()

    def prepare(self, pause: Pause) -> None:
        """Make the folder and the list of users."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder(self._home)
        users = {(each.username, each.password) for each in self._addresses}
        self._write("users", "".join(f'"{name}" "{password}"\n' for name, password in users))

    def is_ready(self) -> bool:
        """Return whether it accepts connections."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        assert BINARY is not None
        settings = SETTINGS.format(
            host=self._addresses[0].hostname,
            port=self._addresses[0].port,
            own_host=HOST,
            own_port=self.port,
            folder=self._home,
            sessions=self._sessions,
            mode=self._mode,
            dropped=",".join(self._dropped),
        )
        path = self._write("settings", settings)
        prefix = server_prefix(self._account, death_signal="KILL", paths=[self._home])
        return subprocess.Popen(
            [*prefix, BINARY, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )

    def _write(self, name: str, text: str) -> Path:
        path = self._home / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self._account is not None:
            self._account.take_over(path)
        return path
