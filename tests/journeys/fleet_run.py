"""`make run` as a user types it: its output line by line, its processes, and signals to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import psutil

from workers.embedded import DataFolder, RunningFleet
from workers.processes import PROCESSES
from workers.settings import DEVELOPMENT_SECRETS

ROOT = Path(__file__).parents[2]
# Long, because the machine may be busy: no test is about the time that a start takes.
READY_TIMEOUT_S = 120.0
# README says that the fleet stops within this time after Ctrl-C or SIGTERM.
STOP_TIMEOUT_S = 10.0
_NOT_INHERITED = (
    *(process.address for process in PROCESSES.values()),
    *("REDIS_URL", *DEVELOPMENT_SECRETS, "MAKEFLAGS", "MAKELEVEL"),
)


def free_port() -> int:
    """Return a port that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FleetRun:
    """One `make run`; what is left of it is killed after the block."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self.port = port or free_port()
        self.console_port = free_port()
        self.lines: list[str] = []
        self._changed = threading.Condition()
        inherited = {name: each for name, each in os.environ.items() if name not in _NOT_INHERITED}
        self.make = subprocess.Popen(
            ["make", "--no-print-directory", "run"],
            cwd=ROOT,
            env=inherited
            | {
                "COINFLEET_DATA_DIR": str(data_dir),
                "PORT": str(self.port),
                "CONSOLE_PORT": str(self.console_port),
            }
            | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left; a test about the end has waited for it before."""
        left = self.processes()
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=STOP_TIMEOUT_S)
        self.make.wait(STOP_TIMEOUT_S)
        self._reader.join(STOP_TIMEOUT_S)
        assert self.make.stdout is not None
        self.make.stdout.close()

    @property
    def url(self) -> str:
        """The address at which it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """All that it has written."""
        return "\n".join(self.lines)

    @property
    def fleet(self) -> RunningFleet:
        """What it wrote for other terminals about where it runs."""
        fleet = self.folder.read_fleet()
        assert fleet is not None, self.output
        return fleet

    def wait_until_ready(self) -> None:
        """Wait until it has written, on a line alone, that it is ready."""
        self.wait_for(f"coinfleet is ready: {self.url}", whole_line=True)

    def wait_for(self, text: str, *, times: int = 1, whole_line: bool = False) -> None:
        """Wait until it has written a text this many times."""

        def was_written() -> bool:
            found = [line for line in self.lines if (line == text if whole_line else text in line)]
            return len(found) >= times or self.make.poll() is not None

        with self._changed:
            assert self._changed.wait_for(was_written, READY_TIMEOUT_S), self.output
        assert text in self.output, self.output

    def wait_for_exit(self) -> int:
        """Wait until make has ended and its output is read; return its exit status."""
        status = self.make.wait(READY_TIMEOUT_S)
        self._reader.join(READY_TIMEOUT_S)
        return status

    def processes(self) -> list[psutil.Process]:
        """Return make, the supervisor, the servers and all their children."""
        try:
            make = psutil.Process(self.make.pid)
            return [make, *make.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def process(self, *words: str) -> psutil.Process:
        """Return the child of the supervisor whose command has these words."""
        found = self._find(words)
        assert found is not None, f"no process {words}"
        return found

    def wait_for_process(self, *words: str) -> psutil.Process:
        """Wait for such a child, and return it."""
        await_true(lambda: self._find(words) is not None)
        return self.process(*words)

    def wait_until_healthy(self) -> None:
        """Wait until /readyz answers that the fleet is ready."""
        await_true(self._answers)

    def stop(self) -> None:
        """Send SIGTERM to make alone, and check that everything ends in time."""
        processes = self.processes()
        self.make.send_signal(signal.SIGTERM)
        assert_gone(processes)

    def press_ctrl_c(self) -> None:
        """Signal each process of the foreground group, as a terminal does."""
        os.killpg(self.make.pid, signal.SIGINT)

    def _find(self, words: Sequence[str]) -> psutil.Process | None:
        for child in psutil.Process(self.fleet.pid).children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = child.cmdline()
                # A zombie has no command. That of setpriv has the words, too, before it runs them.
                if not command or "setpriv" in command[0]:
                    continue
                if all(any(word in part for part in command) for word in words):
                    return child
        return None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _read(self) -> None:
        assert self.make.stdout is not None
        for line in self.make.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        self.make.wait()
        with self._changed:
            self._changed.notify_all()


def await_true(condition: Callable[[], bool]) -> None:
    """Wait until this is true; fail after two minutes."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def assert_gone(processes: Sequence[psutil.Process], *, within_s: float = STOP_TIMEOUT_S) -> None:
    """Check that each of these processes ends in time."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    # A zombie has ended. A container may have no process that reaps orphans.
    alive = [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert not alive, [each.cmdline() for each in alive]
