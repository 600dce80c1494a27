"""`make run`: what it starts, restarts and prints."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from db.connections.pool import open_connection
from tests.clusters import Database
from tests.conditions import eventually
from tests.journeys.fleet_run import ROOT, FleetRun, free_port
from workers.processes import PROCESSES, WEB
from workers.settings import DEVELOPMENT_SECRETS, RECEIVING_SECRETS


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetRun]:
    """A fleet that is ready; each test leaves it ready."""
    with FleetRun(tmp_path_factory.mktemp("fleet") / "data") as run:
        run.wait_until_ready()
        yield run
        run.stop()


LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]


def coinfleet(fleet: FleetRun, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an operator does in a second terminal."""
    return subprocess.run(
        [ROOT / ".venv/bin/coinfleet", *words],
        env={"COINFLEET_DATA_DIR": str(fleet.folder.path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_serves_when_it_has_said_ready(fleet: FleetRun) -> None:
    assert httpx.get(f"{fleet.url}/readyz").status_code == httpx.codes.OK


def test_the_development_secrets_are_printed(fleet: FleetRun) -> None:
    for name, secret in DEVELOPMENT_SECRETS.items():
        assert f"{name} is unset, for development it is {secret}" in fleet.output


async def test_each_process_logs_in_as_its_own_role(fleet: FleetRun) -> None:
    owner_url = coinfleet(fleet, "database-url").stdout.strip()
    superuser_url = fleet.folder.database_url("superuser", port=fleet.fleet.postgres_port or 0)
    owner = await open_connection(owner_url, application_name="owner")
    watcher = await open_connection(superuser_url, application_name="watcher")
    try:
        roles = await watcher.fetchval(
            """
            select array_agg(distinct usename::text order by usename::text)
            from pg_stat_activity where datname = 'coinfleet' and usename <> 'postgres'
            """
        )
    finally:
        await owner.close()
        await watcher.close()
    assert roles == sorted(process.role for process in PROCESSES.values())


def test_a_process_knows_only_its_own_database_address(fleet: FleetRun) -> None:
    for process in LONG_LIVED:
        environment = fleet.process(process.module).environ()
        addresses = [each for each in environment if each.endswith("DATABASE_URL")]
        assert addresses == [process.address]


def test_only_web_knows_the_webhook_secrets(fleet: FleetRun) -> None:
    for process in LONG_LIVED:
        known = RECEIVING_SECRETS & fleet.process(process.module).environ().keys()
        # The embedded fleet has a development value of each that is a secret of a provider.
        given = RECEIVING_SECRETS & DEVELOPMENT_SECRETS.keys()
        assert known == (given if process is WEB else set())


def test_the_servers_keep_what_they_committed(fleet: FleetRun) -> None:
    options = fleet.process("postgres", "-D").cmdline()
    assert not [each for each in options if "fsync" in each or "synchronous_commit" in each]


def test_no_password_stands_on_a_command_line(fleet: FleetRun) -> None:
    passwords = [file.read_text() for file in (fleet.folder.path / "passwords").iterdir()]
    commands = [word for each in fleet.processes() for word in each.cmdline()]
    assert passwords
    assert not [word for word in commands for password in passwords if password in word]


def test_passwords_are_for_their_owner_only(fleet: FleetRun) -> None:
    modes = {file.stat().st_mode & 0o777 for file in (fleet.folder.path / "passwords").iterdir()}
    assert modes == {0o600}


def test_migrate_status_finds_the_database_current(fleet: FleetRun) -> None:
    result = coinfleet(fleet, "migrate", "--status")
    assert result.returncode == 0, result.stdout
    assert "pending" not in result.stdout


@pytest.mark.long
def test_a_second_migrate_finds_nothing_to_do(fleet: FleetRun) -> None:
    assert coinfleet(fleet, "migrate").stdout.endswith("0 steps applied\n")


def test_a_second_run_on_the_same_data_gets_one_clear_line(fleet: FleetRun) -> None:
    with FleetRun(fleet.folder.path) as second:
        assert second.wait_for_exit() != 0
        assert second.lines[0] == (
            f"coinfleet: a fleet runs on {fleet.folder.path} already (process {fleet.fleet.pid}): "
            "stop it, or set COINFLEET_DATA_DIR to another folder"
        )
    assert httpx.get(f"{fleet.url}/readyz").status_code == httpx.codes.OK


@pytest.mark.parametrize("setting", ["PORT", "METRICS_PORT"])
def test_a_taken_port_gets_one_clear_line(fleet: FleetRun, tmp_path: Path, setting: str) -> None:
    port = {"PORT": fleet.port}.get(setting)
    environment = {"METRICS_PORT": str(fleet.port)} if setting == "METRICS_PORT" else None
    with FleetRun(tmp_path / "data", port=port, environment=environment) as second:
        assert second.wait_for_exit() != 0
        assert second.lines[0] == (
            f"coinfleet: can't listen on port {fleet.port} (Address already in use): "
            f"stop what listens there, or set {setting} to another"
        )
        assert not (tmp_path / "data/postgres").exists()


def test_the_example_of_the_readme_is_stored_once_and_seen_the_second_time(fleet: FleetRun) -> None:
    results = [
        subprocess.run(
            [ROOT / ".venv/bin/python", ROOT / "docs/examples/pay.py"],
            env={"COINFLEET_DATA_DIR": str(fleet.folder.path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert [each.stderr for each in results] == ["", ""]
    assert [each.stdout.splitlines() for each in results] == [
        ['{"result":"stored"}', "100 coins"],
        ['{"result":"seen"}', "100 coins"],
    ]


@pytest.mark.long
async def test_the_command_of_dramatiq_works_as_printed(fleet: FleetRun, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deploying.md").read_text()
    (line,) = [line for line in page.splitlines() if "dramatiq workers.queue.broker:set_up" in line]
    owner_url = coinfleet(fleet, "database-url").stdout.strip()
    owner = await open_connection(owner_url, application_name="owner")
    with (tmp_path / "dramatiq.log").open("wb") as log:
        dramatiq = subprocess.Popen(  # noqa: ASYNC220 -- starting one takes a millisecond
            ["bash", "-c", line],
            cwd=ROOT,
            env={"COINFLEET_DATA_DIR": str(fleet.folder.path), "PATH": "/usr/bin:/bin"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        # The fleet's worker is the first of this machine; Dramatiq's own command runs a second one.
        await eventually(
            lambda: owner.fetchval(
                "select exists (select from fleet.worker_reports where worker like '%:2')"
            )
        )
    finally:
        os.killpg(dramatiq.pid, signal.SIGKILL)
        dramatiq.wait()
        await owner.close()


def test_a_killed_process_is_started_again(fleet: FleetRun) -> None:
    killed = fleet.process("workers.scheduler")
    killed.kill()
    fleet.wait_for("scheduler died (SIGKILL), starting it again")
    fleet.wait_for('"scheduler_started"', times=2)
    assert fleet.process("workers.scheduler") != killed


def test_a_real_database_without_secrets_stops_with_all_faults_in_one_message(
    tmp_path: Path,
) -> None:
    given = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    with FleetRun(tmp_path / "data", environment=given) as run:
        assert run.wait_for_exit() != 0
        assert run.lines[0] == "coinfleet can't start:"
        assert run.lines[1].startswith("  no provider has its settings: set STRIPE_WEBHOOK_SECRETS")
        assert not (tmp_path / "data").exists()


@pytest.mark.long
def test_servers_that_are_named_are_used_and_none_is_embedded(
    tmp_path: Path, empty_database: Database, redis_url: str
) -> None:
    given = {**DEVELOPMENT_SECRETS, "DATABASE_URL": empty_database.url(), "REDIS_URL": redis_url}
    with FleetRun(tmp_path / "data", environment=given) as run:
        run.wait_until_ready()
        commands = [psutil.Process(each.pid).name() for each in run.processes()]
        assert "postgres" not in commands
        assert "valkey-server" not in commands
        assert "owner_address_used" in run.output
        run.stop()


@pytest.mark.long
def test_a_release_that_fails_ends_the_fleet(tmp_path: Path, redis_url: str) -> None:
    address = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    given = {**DEVELOPMENT_SECRETS, "DATABASE_URL": address, "REDIS_URL": redis_url}
    with FleetRun(tmp_path / "data", environment=given) as run:
        assert run.wait_for_exit() != 0
        assert "coinfleet: release failed (exit code 1), see above" in run.lines
