"""`coinfleet simulate` and `coinfleet status` on a running fleet, also while parts of it fail."""

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

pytestmark = pytest.mark.long

# Slow enough for a fault in the middle.
LONG_RUN = ("simulate", "--events", "600", "--duplicates", "2", "--shuffle", "--rate", "300")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetRun]:
    """A fleet that is ready."""
    with FleetRun(tmp_path_factory.mktemp("fleet") / "data") as run:
        run.wait_until_ready()
        yield run
        run.stop()


class Operator:
    """An operator at a second terminal."""

    def __init__(self, fleet: FleetRun) -> None:
        self._environment = {
            "COINFLEET_DATA_DIR": str(fleet.folder.path),
            "PATH": "/usr/bin:/bin",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command; `finish` waits for its end."""
        return subprocess.Popen(
            [ROOT / ".venv/bin/coinfleet", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code and its output."""
        return finish(self.start(*words))

    def status(self) -> dict[str, Any]:
        """Return the output of `coinfleet status --json`."""
        _, output = self.run("status", "--json")
        status: dict[str, Any] = json.loads(output)
        return status


@pytest.fixture
def operator(fleet: FleetRun) -> Operator:
    """The operator of the fleet."""
    return Operator(fleet)


def finish(command: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a command; return its exit code and its output."""
    output, _ = command.communicate()
    return command.returncode, output


def start_long_run(fleet: FleetRun, operator: Operator) -> subprocess.Popen[str]:
    """Start a long run; return in the middle, when the first of its gifts, sent last, has come."""
    before = gifts_received(fleet)
    command = operator.start(*LONG_RUN)
    await_true(lambda: gifts_received(fleet) > before)
    return command


def gifts_received(fleet: FleetRun) -> float:
    """Return how many webhooks of the app `web` has counted."""
    lines = httpx.get(f"{fleet.url}/metrics").text.splitlines()
    counter = 'coinfleet_webhooks_received_total{provider="app"'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(counter))


def events_of(output: str, name: str) -> int:
    """Return the number after a name in the table."""
    (number,) = (line.split()[1] for line in output.splitlines() if line.split()[:1] == [name])
    return int(number.replace(",", ""))


@pytest.mark.requirement("H1")
def test_a_shuffled_run_with_duplicates_is_clean(operator: Operator) -> None:
    status, output = operator.run("simulate", "--events", "500", "--duplicates", "2", "--shuffle")
    assert status == 0, output
    assert "1,000 deliveries in " in output
    assert "✓ Each event has one outcome, and every coin is accounted for." in output
    final_or_held = sum(
        events_of(output, state) for state in ("applied", "ignored", "rejected", "held", "waiting")
    )
    assert events_of(output, "sent") == events_of(output, "acknowledged") == final_or_held == 500
    assert events_of(output, "held") == 7
    assert events_of(output, "missing") == 0


@pytest.mark.long
def test_a_second_run_is_independent_of_the_first(operator: Operator) -> None:
    before = operator.status()["events"]["held"]
    for _ in range(2):
        status, output = operator.run("simulate", "--events", "150", "--seed", "4")
        assert status == 0, output
    assert operator.status()["events"]["held"] == before + 2 * 7


def test_a_fleet_without_trouble_is_healthy(operator: Operator) -> None:
    # The run pays in a currency that no fleet has a rate for; a person is asked for that one.
    await_true(lambda: len(operator.status()["attention"]) == 1)
    report = operator.status()
    assert report["attention"][0].startswith("no exchange rate of the last 7 days: xts")
    assert report["drift"]["violations"] == 0
    assert report["queue"]["reachable"]
    assert all(job["last_done_at"] for job in report["schedules"])


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
    status, output = finish(command)
    assert status == 0, output


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
    status, output = finish(command)
    assert status == 0, output
