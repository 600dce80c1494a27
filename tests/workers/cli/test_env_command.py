"""`coinfleet env`: the settings of one process, as a shell reads them."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.operators import coinfleet
from workers.cli.env import settings_of
from workers.embedded import DataFolder, RunningFleet
from workers.processes import PROCESSES, WEB, Process
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    """The data folder of a running fleet."""
    folder = DataFolder(tmp_path / "data of a fleet")
    folder.lock()
    folder.write_fleet(RunningFleet(pid=1, port=9000, postgres_port=5433, valkey_port=6380))
    yield folder
    folder.unlock()


def exports(text: str) -> dict[str, str]:
    """Read the exports as a shell does."""
    found = {}
    for line in text.splitlines():
        word, assignment = shlex.split(line)
        assert word == "export"
        name, _, value = assignment.partition("=")
        found[name] = value
    return found


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_a_process_gets_its_own_address_and_no_other(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, process: Process
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COINFLEET_DATA_DIR", str(folder.path))
    found = settings_of(process.name)
    assert {name: value for name, value in found.items() if name.endswith("DATABASE_URL")} == {
        process.address: folder.database_url(process.login, port=5433)
    }
    assert found["REDIS_URL"] == folder.redis_url(6380)
    assert found["COINFLEET_DATA_DIR"] == str(folder.path)
    assert found["PORT"] == "9000"
    assert (DEVELOPMENT_SECRETS.keys() <= found.keys()) is (process is WEB)


def test_what_is_set_here_comes_first_and_is_quoted(folder: DataFolder) -> None:
    address = "postgresql://me:a%20b$(id)';x@db/coinfleet"
    given = {"WORKER_DATABASE_URL": address, "DATABASE_URL": address, "LOG_FORMAT": "json"}
    result = coinfleet("env", "worker", COINFLEET_DATA_DIR=str(folder.path), UNKNOWN="x", **given)
    found = exports(result.stdout)
    assert found["WORKER_DATABASE_URL"] == address
    assert found["LOG_FORMAT"] == "json"
    assert "UNKNOWN" not in found
    assert "DATABASE_URL" not in found
    shell = 'eval "$1"; printf %s "$WORKER_DATABASE_URL"'
    read = subprocess.check_output(["sh", "-c", shell, "sh", result.stdout], text=True)
    assert read == address


def test_another_database_does_not_get_the_queue_of_this_fleet(folder: DataFolder) -> None:
    result = coinfleet(
        "env", "web", COINFLEET_DATA_DIR=str(folder.path), DATABASE_URL="postgresql://o@db/d"
    )
    found = exports(result.stdout)
    assert found["DATABASE_URL"] == "postgresql://o@db/d"
    assert "REDIS_URL" not in found
    assert not DEVELOPMENT_SECRETS.keys() & found.keys()


def test_an_address_that_is_set_is_not_replaced_by_the_fleets(folder: DataFolder) -> None:
    own = "postgresql://alice@127.0.0.1:5433/coinfleet"
    result = coinfleet(
        "env", "worker", COINFLEET_DATA_DIR=str(folder.path), WORKER_DATABASE_URL=own
    )
    assert exports(result.stdout)["WORKER_DATABASE_URL"] == own
    assert exports(result.stdout)["REDIS_URL"] == folder.redis_url(6380)


@pytest.mark.long_but_first
@pytest.mark.parametrize("process", ["", "Worker"])
def test_an_unknown_process_is_one_line_that_names_the_known(
    folder: DataFolder, process: str
) -> None:
    result = coinfleet("env", process, COINFLEET_DATA_DIR=str(folder.path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.strip().endswith(f"it is one of {', '.join(PROCESSES)}")


def test_without_a_fleet_one_line_says_so(tmp_path: Path) -> None:
    result = coinfleet("env", "worker", COINFLEET_DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"coinfleet: no fleet runs on {tmp_path}: start one (make run)")


def test_the_version_is_shown() -> None:
    result = coinfleet("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("coinfleet ")
    assert result.stdout.split()[1][0].isdigit()


def test_a_process_by_hand_uses_the_mock_providers_too(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COINFLEET_DATA_DIR", str(folder.path))
    mocks = {"STRIPE_API_KEY": "rk_test_0123456789", "STRIPE_API_BASE": "http://127.0.0.1:4"}
    folder.write_fleet(
        RunningFleet(pid=1, port=9000, postgres_port=5433, valkey_port=6380, mock_settings=mocks)
    )
    assert mocks.items() <= settings_of("worker").items()
    # Only the worker calls providers.
    assert "STRIPE_API_KEY" not in settings_of("web")
