"""One process of the fleet: started with its own environment, followed, and certainly ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from workers.embedded.account import child_prefix
from workers.supervisor.output import Output


class FleetProcess:
    """A line of the Procfile.

    Start it from the main thread only: the kernel kills it when the thread that started it ends.
    """

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
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def spawn(self) -> None:
        """Start the process in a group of its own, so that Ctrl-C reaches the supervisor only."""
        self.process = subprocess.Popen(
            [*child_prefix(death_signal="KILL"), *self._command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert self.process.stdout is not None  # noqa: S101 -- asked for above
        self._follower = self._output.follow(self.process.stdout, name=self.name)

    def stop(self, timeout_s: float) -> None:
        """Send SIGTERM; after the timeout kill the process with its children."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.clean_up()

    def clean_up(self) -> None:
        """Kill what is left of the process and its children, and write its last lines."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._follower is not None:
            # The pipe is closed now, unless a grandchild that left the group holds it open.
            self._follower.join(timeout=0.5)
