"""How processes end when they are asked to: under load, while starting, more than once."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.conditions import eventually
from tests.faults.fleets import SCHEDULER, WEB, WORKER
from tests.faults.loads import loaded
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from tests.faults.fleets import Fleet
    from tests.workers.processes import Process

pytestmark = pytest.mark.faults

STOCK = ("dramatiq", "workers.queue.broker:set_up", "--processes", "1", "--threads", "4")
OFTEN = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)


async def ends(process: Process, *signals: signal.Signals) -> int:
    """Send the signals, wait for the end of the process and its children; return the exit code."""
    family = psutil.Process(process.popen.pid).children(recursive=True)
    for signum in signals:
        process.signal(signum)
    code = await process.ended()
    _, left = psutil.wait_procs(family, timeout=0)
    assert left == []
    return code


@pytest.mark.long
async def test_processes_that_end_under_load_finish_what_they_began(fleet: Fleet) -> None:
    port = free_port()
    commands = (WEB, WORKER, SCHEDULER)
    processes = [await fleet.start(each, PORT=str(port)) for each in commands]
    async with loaded(fleet.database.url(), port, events=300) as load:
        for nth, command in enumerate(commands):
            await load.wait_for_more(40)
            assert await ends(processes[nth], *OFTEN) == 0, processes[nth].text
            assert "stop_deadline_passed" not in processes[nth].text
            await fleet.start(command, PORT=str(port))
        await load.finish()


@pytest.mark.long
@pytest.mark.parametrize("command", [WEB, WORKER, SCHEDULER])
async def test_a_process_that_is_still_starting_ends(fleet: Fleet, command: str) -> None:
    for is_so_far in (is_python, listens_for_signals, has_output):
        process = await fleet.start(command, PORT=str(free_port()))
        await eventually(partial(is_so_far, process))
        # Before it handles signals, one ends it like any program; afterwards it shuts down.
        assert await ends(process, *OFTEN) in {0, -signal.SIGTERM, -signal.SIGINT}


async def is_python(process: Process) -> bool:
    """Whether the interpreter runs, with nothing imported."""
    return "python" in psutil.Process(process.popen.pid).name()


async def listens_for_signals(process: Process) -> bool:
    """Whether the process has a thread that takes the signals."""
    return psutil.Process(process.popen.pid).num_threads() > 1


async def has_output(process: Process) -> bool:
    """Whether it has written anything."""
    return bool(process.text)


@pytest.mark.long
async def test_dramatiqs_own_command_applies_events_and_leaves_no_process(fleet: Fleet) -> None:
    port = free_port()
    await fleet.start_web(port)
    stock = await fleet.start(*STOCK)
    async with loaded(fleet.database.url(), port, events=200) as load:
        await load.finish()
    assert await ends(stock, signal.SIGTERM) == 0, stock.text
