"""One process of the fleet: its own environment, its output followed, its end certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from workers.embedded.account import tethered
from workers.supervisor.output import Output


class FleetProcess:
    """A line of the Procfile. Started from the main thread only: the kernel ties it to that."""

    def __init__(
        self, name: str, command: list[str], environment: Mapping[str, str], output: Output
    ) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._environment = environment
        self._output = output
        self._follower: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def spawn(self) -> None:
        """Start the process in a group of its own; a Ctrl-C is for the supervisor alone."""
        self.process = subprocess.Popen(
            [*tethered(death_signal="KILL"), *self._command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert self.process.stdout is not None  # noqa: S101 -- asked for above
        self._follower = self._output.follow(self.process.stdout, name=self.name)

    def stop(self, timeout_s: float) -> None:
        """Ask the process to end, and kill it with its children when it takes too long."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.clean_up()

    def clean_up(self) -> None:
        """Kill what is left of the process and its children; pass on its last lines."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._follower is not None:
            # The pipe is closed by now, or held by a grandchild that left the group.
            self._follower.join(timeout=0.5)
