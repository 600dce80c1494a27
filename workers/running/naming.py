"""What a process is called in reports and metrics: the same after each restart.

A worker is `<name>:<slot>`: the machine's name, or WORKER_NAME, and the lowest number that no other
worker of this database on this machine holds. The number is held by a socket in Linux's abstract
namespace, which ends with the process however that ends, and leaves no file behind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from urllib.parse import urlsplit

SLOTS_MAX = 1_000


class WorkerName:
    """The name of this process, held until it ends or `release` is called."""

    def __init__(self, name: str | None, *, database_url: str) -> None:
        parts = urlsplit(database_url)
        # Without the password: it changes, and the name must not.
        where = parts.netloc.rpartition("@")[2] + parts.path
        self._held: socket.socket | None = None
        self._prefix = name or socket.gethostname()
        self._key = hashlib.sha256(f"{self._prefix} {where}".encode()).hexdigest()[:24]
        self.text = f"{self._prefix}:{self._take_slot()}"

    def release(self) -> None:
        """Let another worker have the name."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _take_slot(self) -> str:
        for slot in range(1, SLOTS_MAX + 1):
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(f"\0coinfleet-worker-{self._key}-{slot}")
            except OSError as error:
                held.close()
                if error.errno != errno.EADDRINUSE:
                    break
            else:
                self._held = held
                return str(slot)
        # No such sockets here: better a name that changes than two processes of one name.
        return f"pid-{os.getpid()}"
