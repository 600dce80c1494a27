"""The parts of the supervisor; tests/journeys proves them together."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

import workers
from tests.journeys.fleet_run import free_port
from workers.embedded import EmbeddedServer
from workers.processes import PROCESSES, WEB, WORKER, Process
from workers.settings import API_KEYS, DEVELOPMENT_SECRETS, RECEIVING_SECRETS
from workers.supervisor.environment import (
    development_secrets,
    environment_of,
    fleet_environment,
)
from workers.supervisor.fleet import FleetFailed, Ports
from workers.supervisor.member import describe_giving_up
from workers.supervisor.output import Output
from workers.supervisor.procfile import read_procfile
from workers.supervisor.restarts import Restarts

FLEET = {
    **{process.address: f"postgresql://{process.role}@db" for process in PROCESSES.values()},
    **DEVELOPMENT_SECRETS,
    "REDIS_URL": "redis://queue",
    "HOME": "/home/operator",
}


def test_each_further_death_waits_longer() -> None:
    restarts = Restarts()
    delays = [restarts.after_death(now) for now in (0.0, 1.0, 2.0, 3.0)]
    assert None not in delays
    assert delays == sorted(set(delays), key=lambda each: each or 0)


def test_the_fifth_death_within_a_minute_is_one_too_many() -> None:
    restarts = Restarts()
    for now in (0.0, 10.0, 20.0, 30.0):
        assert restarts.after_death(now) is not None
    assert restarts.after_death(59.9) is None


def test_deaths_longer_ago_than_a_minute_are_forgotten() -> None:
    restarts = Restarts()
    first = restarts.after_death(0.0)
    for now in (10.0, 20.0, 30.0):
        restarts.after_death(now)
    assert restarts.after_death(60.0) is not None
    assert restarts.after_death(1000.0) == first


@pytest.mark.parametrize("hosts", ["127.0.0.1", "127.0.0.2,127.0.0.1"])
def test_a_port_that_is_to_serve_two_is_named_by_both_settings(hosts: str) -> None:
    port = free_port()
    with Ports() as ports:
        ports.hold("PORT", port, "COINFLEET_HOST", "127.0.0.1")
        with pytest.raises(FleetFailed, match=r"^CONSOLE_PORT: must be another than PORT$"):
            ports.hold("CONSOLE_PORT", port, "CONSOLE_HOST", hosts)


def test_one_port_of_two_addresses_serves_two_and_is_free_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        with Ports() as ports:
            ports.hold("PORT", port, "COINFLEET_HOST", "127.0.0.1,127.0.0.1")
            ports.hold("CONSOLE_PORT", port, "CONSOLE_HOST", "127.0.0.2")


class FullDisk(EmbeddedServer):
    """A server that ends at its start, as PostgreSQL does on a full disk."""

    name = "postgres"
    stop_signal = signal.SIGTERM

    def prepare(self, pause: object) -> None:
        """It needs nothing."""

    def is_ready(self) -> bool:
        """It never is."""
        return False

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        ends = "echo 'LOG:  redo starts'; echo 'FATAL:  No space left on device'; exit 1"
        return subprocess.Popen(["/bin/sh", "-c", ends], stdout=log)


def test_a_server_that_is_given_up_says_why(tmp_path: Path) -> None:
    server = FullDisk(tmp_path)
    server.spawn()
    assert server.process is not None
    server.process.wait()
    assert describe_giving_up(server) == (
        "postgres died 5 times within 60 s, the last time with exit code 1: giving up "
        f"(see {tmp_path / 'postgres.log'}): FATAL:  No space left on device"
    )


def test_the_procfile_names_each_process_with_its_module_in_order() -> None:
    assert list(read_procfile().items()) == [
        (process.name, ["python", "-m", process.module]) for process in PROCESSES.values()
    ]


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_each_process_has_a_module_that_can_be_run(process: Process) -> None:
    folder = Path(workers.__file__).parent.parent
    path = folder / process.module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_comments_and_blanks_in_a_procfile_are_no_processes(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# clock: no\n\nweb: serve --name 'a b'\n")
    assert read_procfile(file) == {"web": ["serve", "--name", "a b"]}


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_a_process_gets_its_own_database_address_alone(process: Process) -> None:
    known = environment_of(process.name, FLEET)
    assert [name for name in known if name.endswith("DATABASE_URL")] == [process.address]
    assert known["REDIS_URL"] == FLEET["REDIS_URL"]
    assert known["HOME"] == FLEET["HOME"]


def test_a_process_without_an_address_of_its_own_gets_the_owners() -> None:
    fleet = {name: each for name, each in FLEET.items() if name != "WORKER_DATABASE_URL"}
    known = environment_of("worker", fleet)
    assert [name for name in known if name.endswith("DATABASE_URL")] == ["DATABASE_URL"]


def test_only_web_gets_the_webhook_secrets() -> None:
    for name in PROCESSES:
        known = RECEIVING_SECRETS & environment_of(name, FLEET).keys()
        assert known == (RECEIVING_SECRETS & FLEET.keys() if name == WEB.name else set())


def test_only_the_worker_gets_the_keys_of_providers() -> None:
    fleet = FLEET | dict.fromkeys(API_KEYS, "key")
    assert "STRIPE_API_KEY" in API_KEYS
    for name in PROCESSES:
        known = API_KEYS & environment_of(name, fleet).keys()
        assert known == (API_KEYS if name == WORKER.name else set())


def test_development_secrets_replace_unset_ones_only() -> None:
    secrets = development_secrets({"STRIPE_WEBHOOK_SECRETS": "whsec_mine"})
    assert secrets.keys() == DEVELOPMENT_SECRETS.keys() - {"STRIPE_WEBHOOK_SECRETS"}


def test_a_real_database_gets_no_development_secret() -> None:
    assert development_secrets({"DATABASE_URL": "postgresql://db"}) == {}


class Terminal(io.TextIOWrapper):
    """Standard output that is a terminal, or is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding="utf-8")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


SECRET = DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]
LONG = f"APP_WEBHOOK_SECRETS is unset, for development it is {SECRET}"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_line_fits_a_terminal_and_stays_one_line_elsewhere(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    terminal = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    Output(width=9).say(LONG)
    lines = re.sub(r"\033\[\d*m", "", terminal.written.getvalue().decode()).splitlines()
    if is_terminal:
        assert max(map(len, lines)) <= 80
    assert " ".join(line.removeprefix("coinfleet | ") for line in lines) == LONG


@pytest.mark.parametrize("is_terminal", [True, False])
def test_processes_know_how_wide_their_log_lines_may_be(*, is_terminal: bool) -> None:
    found = fleet_environment(
        FLEET,
        postgres=None,
        valkey=None,
        link_secret=None,
        columns=68,
        is_terminal=is_terminal,
    )
    assert found["COLUMNS"] == "68"
    assert found.get("LOG_FORMAT") == ("console" if is_terminal else None)
