"""The name of a worker in reports and metrics, which is the same after each restart.

It is `<name>:<number>`: the machine's name, or WORKER_NAME, and the lowest number that no other
worker of this database on this machine has. A socket in Linux's abstract namespace holds the
number: the kernel closes it with the process, however that ends, and it leaves no file behind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from urllib.parse import urlsplit

NUMBERS_MAX = 1_000


class WorkerName:
    """The name of this process, held until it ends or `release` is called."""

    def __init__(self, name: str | None, *, database_url: str) -> None:
        parts = urlsplit(database_url)
        # Without the password: it changes, and the name must not.
        where = parts.netloc.rpartition("@")[2] + parts.path
        self._held: socket.socket | None = None
        self._prefix = name or socket.gethostname()
        self._key = hashlib.sha256(f"{self._prefix} {where}".encode()).hexdigest()[:24]
        self.text = f"{self._prefix}:{self._take_number()}"

    def release(self) -> None:
        """Release the name for another worker."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _take_number(self) -> str:
        for number in range(1, NUMBERS_MAX + 1):
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(f"\0coinfleet-worker-{self._key}-{number}")
            except OSError as error:
                held.close()
                if error.errno != errno.EADDRINUSE:
                    break
            else:
                self._held = held
                return str(number)
        # No such sockets here: a name that changes is better than one name for two workers.
        return f"pid-{os.getpid()}"
