"""`make run` under load: a process that is killed comes back by itself, and so does the fleet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.faults.loads import loaded
from tests.journeys.fleet_run import FleetRun

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.long]


def database_url(run: FleetRun) -> str:
    """Where the schema's owner logs in."""
    return run.folder.database_url("owner", port=run.fleet.postgres_port or 0)


async def test_a_fleet_comes_back_by_itself_whatever_is_killed(tmp_path: Path) -> None:
    with FleetRun(tmp_path / "data") as run:
        await asyncio.to_thread(run.wait_until_ready)
        victims = {
            "worker": ["workers.consumer"],
            "postgres": ["postgres", "-D"],
            "scheduler": ["workers.scheduler"],
            "valkey": [f"127.0.0.1:{run.fleet.valkey_port}"],
            "web": ["workers.webhooks"],
        }
        async with loaded(database_url(run), run.port, events=600) as load:
            for name, words in victims.items():
                await load.wait_for_more(40)
                run.process(*words).kill()
                await asyncio.to_thread(run.wait_for, f"{name} died (SIGKILL)")
            await load.finish()
        await asyncio.to_thread(run.stop)


async def test_a_fleet_that_is_stopped_under_load_goes_on_when_it_is_started_again(
    tmp_path: Path,
) -> None:
    with FleetRun(tmp_path / "data") as run:
        await asyncio.to_thread(run.wait_until_ready)
        async with loaded(database_url(run), run.port, events=400) as load:
            await load.wait_for_more(60)
            await asyncio.to_thread(run.stop)
            assert "SIGKILL" not in run.output
            with FleetRun(tmp_path / "data", port=run.port) as again:
                await asyncio.to_thread(again.wait_until_ready)
                # PostgreSQL has another port now; the receiver has not.
                await load.read_from(database_url(again))
                await load.finish()
                await asyncio.to_thread(again.stop)
