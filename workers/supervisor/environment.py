"""What each process of the fleet may know: its own database address, the secrets it uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workers.embedded import EmbeddedPostgres, EmbeddedValkey
from workers.settings import DEVELOPMENT_SECRETS

_OWN_ADDRESS = {
    "release": "DATABASE_URL",
    "web": "WEB_DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "scheduler": "SCHEDULER_DATABASE_URL",
}
_PRIVATE = {*_OWN_ADDRESS.values(), *DEVELOPMENT_SECRETS}


def development_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The webhook secrets that stand in for unset ones; none beside a real database."""
    if environment.get("DATABASE_URL"):
        return {}
    return {
        name: secret for name, secret in DEVELOPMENT_SECRETS.items() if not environment.get(name)
    }


def fleet_environment(
    environment: Mapping[str, str],
    *,
    postgres: EmbeddedPostgres | None,
    valkey: EmbeddedValkey | None,
) -> dict[str, str]:
    """The environment with what the embedded servers add to it; they must have been started."""
    found = {**environment, **development_secrets(environment)}
    if postgres is not None:
        found["DATABASE_URL"] = postgres.owner_url()
        found["WEB_DATABASE_URL"] = postgres.role_url("web")
        found["WORKER_DATABASE_URL"] = postgres.role_url("worker")
        found["SCHEDULER_DATABASE_URL"] = postgres.role_url("scheduler")
    if valkey is not None:
        found["REDIS_URL"] = valkey.url
    if sys.stdout.isatty():
        found.setdefault("LOG_FORMAT", "console")
    # The Procfile says `python`; it means this one.
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", "")])
    found["PYTHONUNBUFFERED"] = "1"
    return found


def environment_of(process: str, fleet: Mapping[str, str]) -> dict[str, str]:
    """The part of the fleet's environment that this process may know."""
    allowed = set(DEVELOPMENT_SECRETS) if process == "web" else set()
    own = _OWN_ADDRESS.get(process, "DATABASE_URL")
    allowed.add(own if fleet.get(own) else "DATABASE_URL")
    return {name: value for name, value in fleet.items() if name not in _PRIVATE - allowed}
