"""The settings of an operator's command.

The environment comes first. What it leaves unset is taken from the fleet that runs on the data
folder.
"""

from __future__ import annotations

import os
import sys

from workers.embedded import DataFolder, DataFolderUnusable
from workers.processes import RELEASE
from workers.settings import Settings, development_values, load_settings


def load_operator_settings() -> Settings:
    """Return settings that name the owner's database; exit with one line if there is none."""
    settings = load_settings()
    folder = DataFolder(settings.coinfleet_data_dir)
    try:
        found = _found_in(folder, settings)
    except DataFolderUnusable as error:
        sys.exit(f"coinfleet: {error}")
    if not settings.database_url and "database_url" not in found:
        sys.exit(f"coinfleet: {folder.explain_no_fleet()}")
    return settings.model_copy(update=found)


def load_decider_url() -> str:
    """Return the address of whoever decides what is held; the owner's, who is one person, if unset.

    Exit with one line when there is none.
    """
    return load_settings().operator_database_url or str(load_operator_settings().database_url)


def uses_embedded_database(settings: Settings) -> bool:
    """Return whether the settings name the embedded database of the fleet on the data folder."""
    folder = DataFolder(settings.coinfleet_data_dir)
    fleet = folder.read_fleet()
    if fleet is None or fleet.postgres_port is None:
        return False
    return settings.database_url == folder.database_url(RELEASE.login, port=fleet.postgres_port)


def _found_in(folder: DataFolder, settings: Settings) -> dict[str, object]:
    fleet = folder.read_fleet()
    if fleet is None or not fleet.serves(settings.database_url):
        return {}
    found: dict[str, object] = {"port": fleet.port}
    if not settings.queue_url and fleet.valkey_port is not None:
        found["redis_url"] = folder.redis_url(fleet.valkey_port)
    if not settings.database_url and fleet.postgres_port is not None:
        found["database_url"] = folder.database_url(RELEASE.login, port=fleet.postgres_port)
        given = development_values(os.environ) | fleet.mock_settings
        unset = {name.lower(): each for name, each in given.items() if not os.environ.get(name)}
        development = Settings.model_validate(unset)
        found |= {name: getattr(development, name) for name in unset}
    return found
