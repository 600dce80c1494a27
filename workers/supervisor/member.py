"""A member of the fleet: what the supervisor needs of a process or a server."""

from __future__ import annotations

import signal
import subprocess
from typing import Protocol, cast


class Member(Protocol):
    """A process or a server that can be started, stopped and started again."""

    name: str
    process: subprocess.Popen[bytes] | None

    @property
    def running(self) -> bool:
        """Whether it runs."""

    def spawn(self) -> None:
        """Start it without waiting until it is ready."""

    def stop(self, timeout_s: float) -> None:
        """Stop it within about this time, by force if need be."""


def describe_end(member: Member) -> str:
    """Return how a member ended that was started: the name of a signal or an exit code."""
    process = cast("subprocess.Popen[bytes]", member.process)
    if process.returncode < 0:
        return signal.Signals(-process.returncode).name
    return f"exit code {process.returncode}"
