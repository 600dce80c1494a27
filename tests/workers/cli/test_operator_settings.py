"""The settings of an operator's command: the environment, then the fleet on the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.cli.operator_settings import load_operator_settings, uses_embedded_database
from workers.embedded import DataFolder, RunningFleet
from workers.settings import DEVELOPMENT_SECRETS, Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """A locked data folder, and an environment that sets nothing else."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COINFLEET_DATA_DIR", str(tmp_path))
    folder = DataFolder(tmp_path)
    folder.lock()
    yield folder
    folder.unlock()


@pytest.fixture
def fleet(folder: DataFolder) -> RunningFleet:
    """A running fleet on the folder."""
    fleet = RunningFleet(pid=1, port=9000, postgres_port=5433, valkey_port=6380)
    folder.write_fleet(fleet)
    return fleet


def test_without_a_fleet_and_an_address_there_is_one_clear_line(folder: DataFolder) -> None:
    with pytest.raises(SystemExit, match=f"coinfleet: no fleet runs on {folder.path}: start one"):
        load_operator_settings()


def test_a_folder_that_this_user_can_not_read_is_named(
    folder: DataFolder, fleet: RunningFleet
) -> None:
    assert fleet
    user = os.geteuid()
    folder.path.chmod(0o000)
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(SystemExit, match=f"coinfleet: {folder.path} can't be read as "):
            load_operator_settings()
    finally:
        os.seteuid(user)
        folder.path.chmod(0o700)


def test_a_running_fleet_is_found(folder: DataFolder, fleet: RunningFleet) -> None:
    settings = load_operator_settings()
    assert settings.port == fleet.port
    assert settings.database_url == folder.database_url("owner", port=5433)
    assert settings.redis_url == folder.redis_url(6380)
    assert settings.stripe_webhook_secrets == (DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"],)
    assert uses_embedded_database(settings)


def test_the_environment_comes_first(fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://coinfleet_owner@db/coinfleet")
    settings = load_operator_settings()
    assert settings.database_url == "postgresql://coinfleet_owner@db/coinfleet"
    assert settings.stripe_webhook_secrets == ()
    assert not uses_embedded_database(settings)


def test_another_database_has_another_fleet(
    fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port of this fleet is not used: events sent there would go to another database."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://coinfleet_owner@db/coinfleet")
    monkeypatch.setenv("PORT", "8399")
    settings = load_operator_settings()
    assert (settings.port, settings.redis_url) == (8399, None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://o@localhost:5433/coinfleet?sslmode=disable")
    assert load_operator_settings().port == fleet.port


def test_the_mock_providers_of_a_fleet_are_used(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mocks = {"STRIPE_API_KEY": "rk_test_0123456789", "STRIPE_API_BASE": "http://127.0.0.1:4"}
    folder.write_fleet(
        RunningFleet(pid=1, port=9000, postgres_port=5433, valkey_port=6380, mock_settings=mocks)
    )
    settings = load_operator_settings()
    assert (settings.stripe_api_key, settings.stripe_api_base) == (*mocks.values(),)
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_of_this_shell")
    assert load_operator_settings().stripe_api_key == "rk_test_of_this_shell"
