"""How `make run` ends: in order and in time, and so that the next one can start."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.journeys.fleet_run import FleetRun, assert_gone
from workers.console.feed import WATCHERS_OF_SESSION_MAX
from workers.processes import PROCESSES

pytestmark = pytest.mark.faults

LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]
STOP_ORDER = [
    *(process.name for process in sorted(LONG_LIVED, key=lambda process: process.stop_by_s)),
    *("valkey", "postgres"),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that each run takes over from the run before, however that ended."""
    return tmp_path_factory.mktemp("fleet") / "data"


def ended(run: FleetRun) -> list[str]:
    """Return the names of what ended, in order."""
    return [line.split()[2] for line in run.lines if " ended (" in line]


@pytest.mark.long
def test_sigterm_to_make_alone_ends_all_in_order(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        run.stop()
        run.wait_for_exit()
        assert ended(run) == STOP_ORDER
        assert "SIGKILL" not in run.output
        assert run.folder.read_fleet() is None


@pytest.mark.long
def test_people_who_look_at_the_console_hold_up_nothing(data_dir: Path) -> None:
    with FleetRun(data_dir) as run, ExitStack() as looking:
        run.wait_until_ready()
        (link,) = [line.split()[-1] for line in run.lines if "console as viewer" in line]
        browser = looking.enter_context(httpx.Client())
        assert browser.get(link).status_code == httpx.codes.OK
        for _ in range(WATCHERS_OF_SESSION_MAX):
            live = f"http://127.0.0.1:{run.console_port}/live"
            stream = looking.enter_context(browser.stream("GET", live))
            assert stream.status_code == httpx.codes.OK
        # `stop` asserts that all is gone within ten seconds.
        run.stop()
        run.wait_for_exit()
        assert "SIGKILL" not in run.output


@pytest.mark.long
def test_ctrl_c_ends_all_in_order(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        processes = run.processes()
        run.press_ctrl_c()
        assert_gone(processes)
        run.wait_for_exit()
        assert ended(run) == STOP_ORDER


@pytest.mark.long
def test_signals_that_come_twice_change_nothing(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        processes = run.processes()
        run.make.send_signal(signal.SIGTERM)
        run.wait_for("stopping")
        run.press_ctrl_c()
        psutil.Process(run.fleet.pid).send_signal(signal.SIGTERM)
        assert_gone(processes)
        run.wait_for_exit()
        assert ended(run) == STOP_ORDER


@pytest.mark.long_but_first
@pytest.mark.parametrize("moment", ["postgres listens", "valkey listens", "released"])
def test_sigterm_while_starting_leaves_nothing(data_dir: Path, moment: str) -> None:
    with FleetRun(data_dir) as run:
        run.wait_for(moment)
        run.stop()
        assert "coinfleet is ready" not in run.output


@pytest.mark.long
def test_a_killed_supervisor_leaves_nothing_and_the_next_run_starts(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        processes = run.processes()
        psutil.Process(run.fleet.pid).kill()
        assert_gone(processes, within_s=5.0)
        assert run.folder.read_fleet() is None
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        run.stop()


# tests/faults also kills these servers, under load.
@pytest.mark.long
def test_killed_servers_are_started_again(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        run.process("postgres", "-D").kill()
        run.process(f"127.0.0.1:{run.fleet.valkey_port}").kill()
        run.wait_for("postgres died (SIGKILL), starting it again")
        run.wait_for("valkey died (SIGKILL), starting it again")
        run.wait_until_healthy()
        run.stop()


@pytest.mark.long
def test_five_deaths_in_a_minute_end_the_fleet(data_dir: Path) -> None:
    with FleetRun(data_dir) as run:
        run.wait_until_ready()
        processes = run.processes()
        for deaths in range(1, 5):
            run.process("workers.scheduler").kill()
            run.wait_for("scheduler died (SIGKILL)", times=deaths)
            run.wait_for_process("workers.scheduler")
        run.process("workers.scheduler").kill()
        assert run.wait_for_exit() != 0
        assert_gone(processes)
        assert (
            "coinfleet: scheduler died 5 times within 60 s, the last time with SIGKILL: giving up"
            in run.lines
        )
