"""The environment of each process: its own database address, and only the secrets that it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workers.embedded import DataFolder, EmbeddedPostgres, EmbeddedValkey, RunningFleet
from workers.processes import PROCESSES, RELEASE
from workers.settings import API_KEYS, RECEIVING_SECRETS, development_values

# Settings that only the processes which need them may know.
_PRIVATE = {
    *(process.address for process in PROCESSES.values()),
    *RECEIVING_SECRETS,
    *API_KEYS,
}


def development_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return development secrets for those that are unset; none if a real database is named."""
    if environment.get("DATABASE_URL"):
        return {}
    return development_values(environment)


def fleet_environment(
    environment: Mapping[str, str],
    *,
    postgres: EmbeddedPostgres | None,
    valkey: EmbeddedValkey | None,
    columns: int,
    is_terminal: bool,
) -> dict[str, str]:
    """Return the environment with the addresses of the embedded servers, which must be running.

    `columns` is the greatest width of a log line that a person reads.
    """
    found = {**environment, **development_secrets(environment)}
    if postgres is not None:
        for process in PROCESSES.values():
            found[process.address] = postgres.role_url(process.login)
    if valkey is not None:
        found["REDIS_URL"] = valkey.url
    found["COLUMNS"] = str(columns)
    if is_terminal:
        found.setdefault("LOG_FORMAT", "console")
        found["COINFLEET_COLOURS"] = "1"
    # The commands of the Procfile begin with `python`, which is to be the one that runs this.
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", "")])
    found["PYTHONUNBUFFERED"] = "1"
    return found


def embedded_addresses(
    folder: DataFolder, fleet: RunningFleet, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the addresses of a running fleet's servers that the environment does not name.

    Raises DataFolderUnusable if its passwords can't be read.
    """
    found: dict[str, str] = {}
    if fleet.postgres_port is not None and not environment.get("DATABASE_URL"):
        for process in PROCESSES.values():
            if not environment.get(process.address):
                url = folder.database_url(process.login, port=fleet.postgres_port)
                found[process.address] = url
    if fleet.valkey_port is not None and not environment.get("REDIS_URL"):
        found["REDIS_URL"] = folder.redis_url(fleet.valkey_port)
    return found


def environment_of(name: str, fleet: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the fleet's environment that this process may know.

    A process that only the Procfile names gets the owner's address, and no secret of a provider.
    """
    process = PROCESSES.get(name, RELEASE)
    allowed = set(RECEIVING_SECRETS) if process.receives_webhooks else set()
    if process.calls_providers:
        allowed |= API_KEYS
    allowed.add(process.address if fleet.get(process.address) else RELEASE.address)
    return {name: value for name, value in fleet.items() if name not in _PRIVATE - allowed}
