"""What PostgreSQL and Valkey have in common as child processes: start, wait, stop, kill, restart.

Each runs in a process group of its own, so that a Ctrl-C for the fleet doesn't stop it before the
processes that need it. It is killed when the process that started it ends.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias

from workers.embedded.account import EmbeddedServerError, server_account

# Waits this many seconds; may raise StartInterrupted.
Pause: TypeAlias = Callable[[float], object]

HOST = "127.0.0.1"
# Recovery after a crash under load takes some seconds; after a minute something is wrong.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
URGENT_STOP_S = 0.5
POLL_S = 0.02
_sleep = threading.Event().wait
# A log that is larger when a server starts is emptied.
LARGEST_LOG_BYTES = 16 * 1024 * 1024
# Another program may take the port after it was chosen and before the server listens on it.
PORT_TRIES = 3


class ServerFailed(EmbeddedServerError):
    """A server didn't start; the message ends with the line that says why."""


class StartInterrupted(EmbeddedServerError):
    """The fleet was asked to stop while a server or the release was starting."""


class EmbeddedServer(ABC):
    """One server process on a port of the loopback address.

    Use it from one thread only: the kernel kills a server when the thread that started it ends.
    """

    name: str
    stop_signal: signal.Signals
    # For a server that doesn't stop in time after the first signal.
    urgent_signal = signal.SIGKILL

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        """`data_dir` is made if it is missing. With port 0 the first start chooses a free port."""
        self.data_dir = data_dir.resolve()
        self.log_path = self.data_dir / f"{self.name}.log"
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self._account = server_account()
        self._log_start = 0
        self._may_choose_port = port == 0

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process, which must have been started."""
        assert self.process is not None, f"{self.name} was never started"  # noqa: S101 -- caller's bug
        return self.process.pid

    @property
    def reason(self) -> str:
        """Where its log is, and the line of it that says what went wrong since the last start."""
        return f"(see {self.log_path}): {self._cause()}"

    def start(self, pause: Pause = _sleep) -> None:
        """Start the server and wait until it is ready; raise ServerFailed or StartInterrupted."""
        self.prepare(pause)
        for _ in range(PORT_TRIES):
            self._choose_port()
            self.spawn()
            if self._wait_until_ready(pause):
                self.set_up()
                return
            if not (self._may_choose_port and "Address already in use" in self._log_tail()):
                break
            self.port = 0
        raise ServerFailed(f"{self.name} didn't start {self.reason}")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server: with its own signal, then the urgent one, then SIGKILL.

        Each but the first has half a second. The server may be started again.
        """
        process = self.process
        if process is None:
            return
        for stop_signal in (self.stop_signal, self.urgent_signal, signal.SIGKILL):
            self._send(stop_signal)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                timeout_s = URGENT_STOP_S
            else:
                break

    def kill(self) -> None:
        """Kill the process, as the kernel does when memory runs out, and wait for its end."""
        self._send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def restart(self) -> None:
        """Stop and start, on the same port and data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Suspend the server: it answers nothing and closes no connection."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._send(signal.SIGCONT)

    def spawn(self) -> None:
        """Start the process on its port without waiting until it is ready."""
        self._choose_port()
        with self._open_log() as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self.process = self._spawn(log)

    @abstractmethod
    def prepare(self, pause: Pause) -> None:
        """Make what the process needs before it starts; a second call changes nothing."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the process serves clients, within about a second."""

    def set_up(self) -> None:  # noqa: B027 -- most servers need nothing
        """Make in the server what the fleet expects there; a second call changes nothing."""

    @abstractmethod
    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process on `self.port`, with its output in this log."""

    def _wait_until_ready(self, pause: Pause) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                return False
            if self.is_ready():
                return True
            try:
                pause(POLL_S)
            except StartInterrupted:
                self.stop(timeout_s=2.0)
                raise
        self.kill()
        return False

    def _choose_port(self) -> None:
        if self.port == 0:
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                self.port = probe.getsockname()[1]

    def _send(self, wanted: signal.Signals) -> None:
        if self.process is not None and self.running:
            self.process.send_signal(wanted)

    def _folder(self, path: Path) -> None:
        """Make a folder that only the user of the server may enter."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            self._account.take_over(path)

    def _open_log(self) -> IO[bytes]:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = open(self.log_path, "ab", opener=_private)  # noqa: SIM115 -- pathlib takes no opener
        if log.tell() > LARGEST_LOG_BYTES:
            log.truncate(0)
        return log

    def _log_tail(self) -> str:
        """Return the last 4 KB that were logged since the process started."""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 4096))
            return log.read().decode(errors="replace")

    def _cause(self) -> str:
        """Return the line that says what went wrong.

        It is the first error, because later errors follow from it. The last line is often of an
        orderly stop: "shut down", "removing data directory".
        """
        lines = [line.strip() for line in self._log_tail().splitlines() if line.strip()]
        if not lines:
            return "it logged nothing"
        return next((line for line in lines if _ERROR.search(line)), lines[-1])


_ERROR = re.compile(
    r"error|fatal|panic|failed|could not|cannot|denied|no space left|not permitted", re.IGNORECASE
)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
