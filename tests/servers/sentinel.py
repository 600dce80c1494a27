"""Two Redis servers and three Sentinels of Debian's packages, which promote one for the other."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import redis

from tests.servers.rabbitmq import free_ports

SERVER = shutil.which("redis-server")
IS_INSTALLED = SERVER is not None and shutil.which("redis-sentinel") is not None
PASSWORD = "hush"
NAME = "wakeups"
STARTED_WITHIN_S = 20.0
SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} 127.0.0.1 {first} 2
sentinel auth-pass {name} {password}
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 3000
"""


class SentinelQueue:
    """The servers; `url` is the address that a fleet is given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        first, second, *self._sentinels = free_ports(5)
        self._servers = [first, second]
        self._popen: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """All three Sentinels, and the name of what they watch."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._sentinels)
        return f"redis://:{PASSWORD}@{hosts}/0?sentinel={NAME}"

    def start(self) -> None:
        """Start all of them, and wait until the Sentinels know each other and the replica."""
        first, second = self._servers
        own = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--save", ""]
        self._run(first, *own)
        self._run(second, *own, "--replicaof", f"127.0.0.1 {first}")
        for port in self._sentinels:
            folder = self._folder / str(port)
            folder.mkdir()
            file = folder / "sentinel.conf"
            told = {"folder": folder, "name": NAME, "first": first, "password": PASSWORD}
            file.write_text(SENTINEL.format(port=port, **told))
            self._run(port, str(file), "--sentinel")
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not all(self._knows_all(port) for port in self._sentinels):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill_the_primary(self) -> int:
        """Kill the server that takes writes now; return its port."""
        with redis.Redis(port=self._sentinels[0]) as client:
            _, port = client.sentinel_get_master_addr_by_name(NAME)
        self._popen[port].kill()
        self._popen[port].wait()
        return int(port)

    def stop(self) -> None:
        """End all of them."""
        for popen in self._popen.values():
            popen.kill()
            popen.wait()

    def _run(self, port: int, *words: str) -> None:
        told = words if "--sentinel" in words else (*words, "--port", str(port))
        if "--sentinel" not in words:
            told = (*told, "--bind", "127.0.0.1", "--dir", str(self._folder))
        log = (self._folder / f"{port}.log").open("wb")
        self._popen[port] = subprocess.Popen([str(SERVER), *told], stdout=log, stderr=log)
        log.close()

    def _knows_all(self, port: int) -> bool:
        try:
            with redis.Redis(port=port) as client:
                found = client.sentinel_master(NAME)
        except redis.RedisError:
            return False
        return found["num-other-sentinels"] == 2 and found["num-slaves"] == 1
