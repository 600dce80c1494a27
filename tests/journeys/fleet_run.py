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
# The machine may be busy; these are for waiting, not for judging.
READY_TIMEOUT_S = 60.0
# What the README promises of Ctrl-C and SIGTERM: all is down within this.
STOP_TIMEOUT_S = 10.0
_NOT_INHERITED = (
    *(process.address for process in PROCESSES.values()),
    *("REDIS_URL", *DEVELOPMENT_SECRETS, "MAKEFLAGS", "MAKELEVEL"),
)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FleetRun:
    """One `make run`; leaving the context ends what is left of it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self.port = port or free_port()
        self.lines: list[str] = []
        self._changed = threading.Condition()
        inherited = {name: each for name, each in os.environ.items() if name not in _NOT_INHERITED}
        self.make = subprocess.Popen(
            ["make", "--no-print-directory", "run"],
            cwd=ROOT,
            env=inherited
            | {"COINFLEET_DATA_DIR": str(data_dir), "PORT": str(self.port)}
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
        """The run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left; a test that cares has seen to the end itself."""
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
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return "\n".join(self.lines)

    @property
    def fleet(self) -> RunningFleet:
        """Where it is, as it tells other terminals."""
        fleet = self.folder.read_fleet()
        assert fleet is not None, self.output
        return fleet

    def wait_until_ready(self) -> None:
        """Return once it says, on a line of its own, that it is ready."""
        self.wait_for(f"coinfleet is ready: {self.url}", whole_line=True)

    def wait_for(self, text: str, *, times: int = 1, whole_line: bool = False) -> None:
        """Return once a text was said so often."""

        def was_said() -> bool:
            said = [line for line in self.lines if (line == text if whole_line else text in line)]
            return len(said) >= times or self.make.poll() is not None

        with self._changed:
            assert self._changed.wait_for(was_said, READY_TIMEOUT_S), self.output
        assert text in self.output, self.output

    def wait_for_exit(self) -> int:
        """Return make's exit status once it is gone and its output read."""
        status = self.make.wait(READY_TIMEOUT_S)
        self._reader.join(READY_TIMEOUT_S)
        return status

    def processes(self) -> list[psutil.Process]:
        """make, the supervisor, the servers and everything below them."""
        try:
            make = psutil.Process(self.make.pid)
            return [make, *make.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def process(self, *words: str) -> psutil.Process:
        """The supervisor's child whose command holds these words."""
        found = self._find(words)
        assert found is not None, f"no process {words}"
        return found

    def wait_for_process(self, *words: str) -> psutil.Process:
        """As `process`, for one that is being started."""
        await_true(lambda: self._find(words) is not None)
        return self.process(*words)

    def wait_until_healthy(self) -> None:
        """Return once it answers that it is ready, and each process and server is alive."""
        await_true(self._answers)

    def stop(self) -> None:
        """Ask make alone to end, and see everything gone."""
        processes = self.processes()
        self.make.send_signal(signal.SIGTERM)
        assert_gone(processes)

    def press_ctrl_c(self) -> None:
        """What a terminal does: a signal to each process of the foreground group."""
        os.killpg(self.make.pid, signal.SIGINT)

    def _find(self, words: Sequence[str]) -> psutil.Process | None:
        for child in psutil.Process(self.fleet.pid).children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = child.cmdline()
                # A zombie has none; setpriv's holds the words before it has become the command.
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
    """Return once this holds; fail when it doesn't for too long."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def assert_gone(processes: Sequence[psutil.Process], *, within_s: float = STOP_TIMEOUT_S) -> None:
    """See each of these processes end."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    # Nobody may reap the orphans of a killed supervisor where we run: dead is enough.
    alive = [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert not alive, [each.cmdline() for each in alive]
