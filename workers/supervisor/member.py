"""A member of the fleet: what the supervisor needs of a process or a server."""

from __future__ import annotations

import signal
import subprocess
from typing import Protocol, cast

from workers.embedded import EmbeddedServer
from workers.supervisor.restarts import DEATHS, WITHIN_S


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


def describe_giving_up(member: Member) -> str:
    """Return why a member is not started again: a server's log is a file, so its line is told."""
    said = (
        f"{member.name} died {DEATHS} times within {WITHIN_S:.0f} s, "
        f"the last time with {describe_end(member)}: giving up"
    )
    return f"{said} {member.reason}" if isinstance(member, EmbeddedServer) else said
