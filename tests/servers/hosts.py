"""Hosts: network namespaces with names and addresses of their own, joined by a bridge.

Only inside a network namespace of the test's own, which `make hosts-test` makes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETWORK = "10.77.0"
# What the hosts call the machine between them, on which the servers run.
SERVER = f"{NETWORK}.1"
NAMED = 'hostname "$0" && exec "$@"'


def ip(*words: str) -> None:
    """Run `ip` with these words."""
    subprocess.run(["ip", *words], check=True)


def make_network() -> None:
    """Make the bridge, with the server's address."""
    ip("link", "add", "bridge", "type", "bridge")
    ip("address", "add", f"{SERVER}/24", "dev", "bridge")
    ip("link", "set", "bridge", "up")


@dataclass(slots=True)
class Host:
    """One host, whose cable can be cut."""

    number: int
    running: dict[Path, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"host{self.number}"

    @property
    def address(self) -> str:
        return f"{NETWORK}.{10 + self.number}"

    def make(self) -> None:
        """Make its namespace, its cable and its address."""
        ip("netns", "add", self.name)
        ip("link", "add", f"cable{self.number}", "type", "veth", "peer", "eth0", "netns", self.name)
        ip("link", "set", f"cable{self.number}", "master", "bridge", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")

    def start(self, log: Path, *command: str, **environment: str) -> None:
        """Run `python -m command` there, with this environment."""
        run = ["ip", "netns", "exec", self.name, "unshare", "--uts"]
        run += ["sh", "-c", NAMED, self.name, sys.executable, "-m", *command]
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        with log.open("wb") as output:
            self.running[log] = subprocess.Popen(
                run, env=own | environment, cwd=ROOT, stdout=output, stderr=output
            )

    def cut(self) -> None:
        """Cut its cable: nothing comes or goes, and nobody is told."""
        ip("link", "set", f"cable{self.number}", "down")

    def mend(self) -> None:
        """Mend its cable."""
        ip("link", "set", f"cable{self.number}", "up")

    def stop(self) -> list[int]:
        """Ask all its processes to stop; return their exit codes."""
        for popen in self.running.values():
            popen.send_signal(signal.SIGTERM)
        return [popen.wait(20) for popen in self.running.values()]

    def kill(self) -> None:
        """End whatever still runs."""
        for popen in self.running.values():
            popen.kill()
            popen.wait()
