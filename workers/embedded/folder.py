"""The data folder (COINFLEET_DATA_DIR): its owner, its passwords, and where its fleet runs.

lock          held while a fleet runs here        passwords/    one file per login, mode 0600
fleet.json    tells commands where the fleet is   postgres/     the cluster
*.log         the logs of the servers             cache/        of the development tools
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from db.connections.address import Address
from workers.embedded.account import EmbeddedServerError
from workers.processes import PROCESSES

# One login per process; the release logs in as the schema's owner.
LOGINS = tuple(process.login for process in PROCESSES.values())
SUPERUSER = "superuser"
DATABASE = "coinfleet"
_HOST = "127.0.0.1"
_THIS_MACHINE = (_HOST, "localhost", "::1")


class DataFolderUnusable(EmbeddedServerError):
    """The data folder belongs to another user, can't be read, or has a fleet on it already."""


@dataclass(frozen=True, slots=True)
class RunningFleet:
    """Where a fleet runs. A port is None if the fleet doesn't embed that server."""

    pid: int
    port: int
    postgres_port: int | None
    valkey_port: int | None
    mock_ports: dict[str, int] = field(default_factory=dict)
    """Where its mock providers listen, by provider; empty without them."""
    mock_settings: dict[str, str] = field(default_factory=dict)
    """The settings that point at them; their keys are of no worth."""

    def serves(self, database_url: str | None) -> bool:
        """Return whether the fleet's port and queue are those of this database.

        They are not if the fleet has an embedded database and the address names another one.
        """
        if not database_url or self.postgres_port is None:
            return True
        hosts = Address.parse(database_url).hosts
        return any(host.port == self.postgres_port and host.name in _THIS_MACHINE for host in hosts)


class DataFolder:
    """One data folder. Making the object changes nothing on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._passwords = self.path / "passwords"
        self._fleet_file = self.path / "fleet.json"
        self._lock: IO[str] | None = None

    def make(self) -> None:
        """Make the folder and the passwords that are missing; raise DataFolderUnusable."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.path.stat().st_uid
        except OSError as error:
            raise DataFolderUnusable(f"{self.path}: {error.strerror}") from error
        if owner != os.geteuid():
            raise DataFolderUnusable(
                f"{self.path} belongs to {_user_name(owner)}: run as that user, remove it, "
                "or set COINFLEET_DATA_DIR to another folder"
            )
        self._passwords.mkdir(mode=0o700, exist_ok=True)
        for name in (SUPERUSER, *LOGINS, "valkey"):
            self._make_password(name)

    def lock(self) -> None:
        """Make the folder and lock it against other fleets until this process ends.

        Raises DataFolderUnusable if another fleet runs on it.
        """
        self.make()
        self._lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            raise DataFolderUnusable(
                f"a fleet runs on {self.path} already (process {self._lock.read().strip()}): "
                "stop it, or set COINFLEET_DATA_DIR to another folder"
            ) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def unlock(self) -> None:
        """Let another fleet use this folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write_fleet(self, fleet: RunningFleet) -> None:
        """Write where the fleet is, for commands; by a rename, so that none reads half a file."""
        draft = self._fleet_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(fleet)) + "\n")
        draft.replace(self._fleet_file)

    def remove_fleet(self) -> None:
        """Remove what `write_fleet` wrote."""
        self._fleet_file.unlink(missing_ok=True)

    def read_fleet(self) -> RunningFleet | None:
        """Return where the fleet runs; None if none does, or if this user can't read that."""
        try:
            fleet = RunningFleet(**json.loads(self._fleet_file.read_text()))
            with (self.path / "lock").open() as lock:
                return fleet if _is_locked(lock) else None
        except (OSError, ValueError, TypeError):
            return None

    def explain_no_fleet(self) -> str:
        """Return why `read_fleet` found no fleet, and what to do: one line for a person."""
        try:
            self._fleet_file.open().close()
        except PermissionError:
            return (
                f"{self.path} can't be read as {_user_name(os.geteuid())}: "
                "run this as the user who runs the fleet, or set DATABASE_URL"
            )
        except OSError:
            pass
        return f"no fleet runs on {self.path}: start one (make run), or set DATABASE_URL"

    def password(self, name: str) -> str:
        """Return the password of a login or of `valkey`; raise DataFolderUnusable if unreadable."""
        try:
            return (self._passwords / name).read_text().strip()
        except OSError as error:
            raise DataFolderUnusable(f"{self._passwords / name}: {error.strerror}") from error

    def database_url(self, login: str, *, port: int, database: str = DATABASE) -> str:
        """Return the address at which this login connects to the embedded PostgreSQL."""
        user = "postgres" if login == SUPERUSER else f"coinfleet_{login}"
        return f"postgresql://{user}:{self.password(login)}@{_HOST}:{port}/{database}"

    def redis_url(self, port: int) -> str:
        """Return the address at which clients connect to the embedded Valkey."""
        return f"redis://:{self.password('valkey')}@{_HOST}:{port}/0"

    def _make_password(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            file = os.open(self._passwords / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as password:
                # Hexadecimal, which an address or a settings file takes without quoting.
                password.write(secrets.token_hex(16))


def _is_locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
