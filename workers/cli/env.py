"""`coinfleet env`: a process's settings as the shell reads them, to run one process by hand."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

from workers.cli.endings import CommandFailed
from workers.cli.terminal import write
from workers.embedded import DataFolder, DataFolderUnusable
from workers.processes import PROCESSES, RELEASE
from workers.settings import Settings, load_settings
from workers.supervisor.environment import (
    LINK_SECRET,
    development_secrets,
    embedded_addresses,
    environment_of,
)

_NAMES = ", ".join(PROCESSES)


def command(
    process: Annotated[str, typer.Argument(metavar="PROCESS", help=f"One of {_NAMES}.")],
) -> None:
    """Print one process's settings as shell exports: eval "$(coinfleet env worker)".

    These are the settings of the fleet that runs on the data folder, and those set in this shell.
    They contain passwords: a user who can't read the data folder can't print them.
    """
    if process not in PROCESSES:
        raise CommandFailed(f"coinfleet: no process {process}: it is one of {_NAMES}")
    try:
        settings = settings_of(process)
    except DataFolderUnusable as error:
        raise CommandFailed(f"coinfleet: {error}") from error
    for name, value in settings.items():
        write(f"export {name}={shlex.quote(value)}")


def settings_of(process: str) -> dict[str, str]:
    """Return the process's settings by their names in the environment.

    Raises CommandFailed if no fleet runs and no database is named, and DataFolderUnusable if the
    passwords can't be read.
    """
    settings = load_settings()
    folder = DataFolder(settings.coinfleet_data_dir)
    known = read_known(folder)
    if folder.read_fleet() is None and RELEASE.address not in known:
        raise CommandFailed(f"coinfleet: {folder.explain_no_fleet()}")
    return environment_of(process, known)


def read_known(folder: DataFolder) -> dict[str, str]:
    """Return all settings of this shell, and of the fleet that runs on this data folder.

    Raises DataFolderUnusable.
    """
    known = {name: value for name, value in os.environ.items() if name in _SETTINGS and value}
    known["COINFLEET_DATA_DIR"] = str(folder.path)
    fleet = folder.read_fleet()
    if fleet is not None and fleet.serves(known.get(RELEASE.address)):
        known |= {name: each for name, each in fleet.mock_settings.items() if name not in known}
        known |= development_secrets(known)
        known |= embedded_addresses(folder, fleet, known)
        known["PORT"] = str(fleet.port)
        if fleet.postgres_port is not None and fleet.console_url is not None:
            known[LINK_SECRET] = folder.link_secret()
    return known


_SETTINGS = frozenset(name.upper() for name in Settings.model_fields)
