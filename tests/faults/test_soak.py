"""Processes killed at random under load, again and again; `make faults` does it for longer."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.faults.fleets import SCHEDULER, WEB, WORKER, kill
from tests.faults.loads import AHEAD, loaded
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from tests.faults.fleets import Fleet
    from workers.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.faults

# About a second per round; but a round ends by deliveries, so a slow machine has as many.
A_ROUND = 5, 120
PROCESSES = (WEB, WORKER, WORKER, SCHEDULER)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "rounds"), [(1, 4), pytest.param(2, 75, marks=pytest.mark.long)])
async def test_every_event_ends_once_whatever_is_killed(
    fleet: Fleet, postgres: EmbeddedPostgres, valkey_server: EmbeddedValkey, seed: int, rounds: int
) -> None:
    random, port = Random(seed), free_port()
    processes = [await fleet.start(command, PORT=str(port)) for command in PROCESSES]
    servers = (postgres, valkey_server)

    async def kill_and_start_again(nth: int) -> None:
        if nth < len(PROCESSES):
            await kill(processes[nth])
            processes[nth] = await fleet.start(PROCESSES[nth], PORT=str(port))
        else:
            server = servers[nth - len(PROCESSES)]
            server.kill()
            server.start()

    events = rounds * (max(A_ROUND) + AHEAD)
    async with loaded(fleet.database.url(), port, events=events, seed=seed) as load:
        for _ in range(rounds):
            await load.wait_for_more(random.randint(*A_ROUND))
            # Sometimes two at once: a worker, for example, and what would notice its end.
            for nth in random.sample(
                range(len(PROCESSES) + len(servers)), random.choice((1, 1, 2))
            ):
                await kill_and_start_again(nth)
        await load.finish()
