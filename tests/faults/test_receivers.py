"""Receivers that are killed under load, and two of each process on one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conditions import eventually
from tests.faults.fleets import SCHEDULER, WORKER, kill
from tests.faults.loads import loaded
from tests.faults.shop import deliver, sign_up
from tests.journeys.fleet_run import free_port
from workers import processes

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.faults.fleets import Fleet

pytestmark = pytest.mark.faults


async def stored_events(db: Connection) -> set[str]:
    """The ids of the events in the inbox."""
    rows = await db.fetch("select provider_event_id from fleet.inbox_events")
    return {row["provider_event_id"] for row in rows}


async def test_what_a_killed_receiver_acknowledged_is_in_the_inbox(
    fleet: Fleet, db: Connection
) -> None:
    port = free_port()
    web = await fleet.start_web(port)
    await fleet.start(WORKER)
    async with loaded(fleet.database.url(), port, events=300) as load:
        await load.wait_for_more(80)
        await kill(web)
        assert load.acknowledged <= await stored_events(db)
        await fleet.start_web(port)
        # What the killed receiver did not acknowledge was sent again.
        await load.finish()


@pytest.mark.long
async def test_two_of_each_process_apply_each_event_once(fleet: Fleet, db: Connection) -> None:
    ports = free_port(), free_port()
    for port in ports:
        await fleet.start_web(port)
        await fleet.start(WORKER)
        await fleet.start(SCHEDULER)
    async with loaded(fleet.database.url(), *ports, events=300) as load:
        await load.finish()

    async def every_tick_is_finished() -> bool:
        unfinished: int = await db.fetchval(
            "select count(*) from fleet.ticks where finished_at is null"
        )
        return unfinished == 0

    await eventually(every_tick_is_finished)
    assert await db.fetchval("select array_agg(distinct attempts) from fleet.ticks") == [1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:

        async def each_worker_had_its_part() -> bool:
            await deliver(client, await sign_up(db, 1))
            busy: int = await db.fetchval(
                "select count(*) from fleet.worker_reports where batches > 0"
            )
            return busy == 2

        await eventually(each_worker_had_its_part)
    roles = await db.fetch(
        "select distinct application_name, usename::text from pg_stat_activity"
        " where datname = current_database() and application_name like 'coinfleet %'"
    )
    assert {(row["application_name"], row["usename"]) for row in roles} == {
        (process.application_name, process.role)
        for process in (processes.WEB, processes.WORKER, processes.SCHEDULER)
    }
