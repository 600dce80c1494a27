"""A RabbitMQ server of Debian's package, on ports and in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
IS_INSTALLED = (PROGRAMS / "rabbitmq-server").exists()
START_S = 60.0


def free_ports(count: int) -> list[int]:
    """Ports where nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class RabbitMq:
    """The server; its Erlang node and port mapper are its own, too, and end with it."""

    def __init__(self, folder: Path) -> None:
        self.port, distribution, mapper = free_ports(3)
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text("")
        local = "{127,0,0,1}"
        self._environment = {
            "PATH": os.environ["PATH"],
            # Its cookie, a secret between node and commands, is made there.
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {local}",
        }
        self._log = folder / "output"
        self._popen: subprocess.Popen[bytes] | None = None

    def url(self, password: str = "guest") -> str:  # noqa: S107 -- its own default
        """The address of its first user."""
        return f"amqp://guest:{quote(password)}@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with self._log.open("wb") as output:
            self._popen = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._listens():
            assert self._popen.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def control(self, *words: str) -> None:
        """Run `rabbitmqctl` with these words."""
        run = [PROGRAMS / "rabbitmqctl", "--quiet", *words]
        subprocess.run(run, env=self._environment, check=True, capture_output=True)

    def freeze(self) -> None:
        """Stop it from answering, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and all that it started."""
        if self._popen is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._popen.wait()
        self._popen = None

    def close(self) -> None:
        """Stop it, and the port mapper that it left."""
        self.stop()
        subprocess.run(["epmd", "-kill"], env=self._environment, check=False, capture_output=True)

    def _signal(self, signum: signal.Signals) -> None:
        assert self._popen is not None
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signum)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        # The port is open a moment before the server takes logins.
        return "Server startup complete" in self._log.read_text(errors="replace")
