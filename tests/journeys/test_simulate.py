"""`coinfleet simulate` and `coinfleet status` beside a running fleet, also while it is hurt."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis

from tests.journeys.fleet_run import ROOT, FleetRun, await_true

if TYPE_CHECKING:
    from collections.abc import Iterator

# Slow enough for something to happen in the middle of it.
LONG_RUN = ("simulate", "--events", "600", "--duplicates", "2", "--shuffle", "--rate", "300")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetRun]:
    """A fleet that is ready."""
    with FleetRun(tmp_path_factory.mktemp("fleet") / "data") as run:
        run.wait_until_ready()
        yield run
        run.stop()


class Operator:
    """A second terminal."""

    def __init__(self, fleet: FleetRun) -> None:
        self._environment = {
            "COINFLEET_DATA_DIR": str(fleet.folder.path),
            "PATH": "/usr/bin:/bin",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Type a command; `finish` sees to its end."""
        return subprocess.Popen(
            [ROOT / ".venv/bin/coinfleet", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Type a command; gives its exit code and what it said."""
        return finish(self.start(*words))

    def status(self) -> dict[str, Any]:
        """What `coinfleet status --json` says."""
        _, said = self.run("status", "--json")
        told: dict[str, Any] = json.loads(said)
        return told


@pytest.fixture
def operator(fleet: FleetRun) -> Operator:
    """Whoever looks after the fleet."""
    return Operator(fleet)


def finish(command: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command's end; gives its exit code and what it said."""
    said, _ = command.communicate()
    return command.returncode, said


def start_long_run(fleet: FleetRun, operator: Operator) -> subprocess.Popen[str]:
    """Start a run and return in the middle of it: when its gifts, which come last, are coming."""
    before = gifts_received(fleet)
    command = operator.start(*LONG_RUN)
    await_true(lambda: gifts_received(fleet) > before)
    return command


def gifts_received(fleet: FleetRun) -> float:
    """How many of the app's webhooks came in, by the receiver's own count."""
    lines = httpx.get(f"{fleet.url}/metrics").text.splitlines()
    counter = 'coinfleet_webhooks_received_total{provider="app"'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(counter))


def events_of(said: str, name: str) -> int:
    """The number behind a name in the table."""
    (number,) = (line.split()[1] for line in said.splitlines() if line.split()[:1] == [name])
    return int(number.replace(",", ""))


@pytest.mark.requirement("H1")
def test_a_shuffled_run_with_duplicates_is_clean(operator: Operator) -> None:
    status, said = operator.run("simulate", "--events", "500", "--duplicates", "2", "--shuffle")
    assert status == 0, said
    assert "1,000 deliveries in " in said
    assert "✓ Each event has one outcome, and every coin is accounted for." in said
    final_or_held = sum(
        events_of(said, state) for state in ("applied", "ignored", "rejected", "held", "waiting")
    )
    assert events_of(said, "sent") == events_of(said, "acknowledged") == final_or_held == 500
    assert events_of(said, "held") == 7
    assert events_of(said, "missing") == 0


@pytest.mark.long
def test_a_second_run_does_not_meet_the_first(operator: Operator) -> None:
    before = operator.status()["events"]["held"]
    for _ in range(2):
        status, said = operator.run("simulate", "--events", "150", "--seed", "4")
        assert status == 0, said
    assert operator.status()["events"]["held"] == before + 2 * 7


def test_a_fleet_that_was_left_alone_is_healthy(operator: Operator) -> None:
    await_true(lambda: operator.run("status")[0] == 0)
    told = operator.status()
    assert told["attention"] == []
    assert told["drift"]["violations"] == 0
    assert told["queue"]["reachable"]
    assert all(job["last_done_at"] for job in told["schedules"])


# tests/faults kills the same processes under load in a shorter time.
@pytest.mark.faults
@pytest.mark.long
@pytest.mark.parametrize(
    "process", ["workers.consumer", "workers.webhooks", "workers.scheduler", "bin/postgres"]
)
def test_a_process_killed_in_the_middle_loses_and_doubles_nothing(
    fleet: FleetRun, operator: Operator, process: str
) -> None:
    command = start_long_run(fleet, operator)
    fleet.process(process).kill()
    status, said = finish(command)
    assert status == 0, said


@pytest.mark.faults
@pytest.mark.long
def test_a_queue_emptied_in_the_middle_loses_and_doubles_nothing(
    fleet: FleetRun, operator: Operator
) -> None:
    command = start_long_run(fleet, operator)
    port = fleet.fleet.valkey_port
    assert port is not None
    with redis.Redis.from_url(fleet.folder.redis_url(port)) as queue:
        queue.flushall()
    status, said = finish(command)
    assert status == 0, said
