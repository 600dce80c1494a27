"""A database's clock that was 20 minutes ahead and is set right, while the same processes run."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conditions import eventually
from tests.db.books import breaches
from tests.db.presence.audience import HEARTBEAT, Audience
from tests.faults.fleets import SCHEDULER, WORKER
from tests.faults.shop import COINS, coins, deliver, sign_up, states
from tests.journeys.fleet_run import free_port
from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect, SignIn
    from tests.faults.fleets import Fleet
    from workers.embedded import EmbeddedPostgres

# Debian's; each architecture has a folder of its own.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.long,
    pytest.mark.skipif(FAKETIME is None, reason="apt-get install faketime"),
]

AHEAD_MINUTES = 20
# A clock that is right again is after this as if it had never been wrong.
RIGHT_WITHIN_S = 30
AHEAD_OF = "select extract(epoch from clock_timestamp())::float8 - $1"
IS_PUBLISHED = "select is_published from public.live_streams where id = $1"
# A job that ran since the clock was set right, by a time that has come.
RAN = """
select count(*) > 0 from fleet.ticks
where job = $1 and outcome = 'done' and enqueued_at between $2 and clock_timestamp()
"""


@contextmanager
def ahead(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the server with a clock that is ahead while the block runs, and with the right one after.

    It is stopped at the end of the block and started again: to its clients, a failover.
    """
    # Only the time of day: what waits for a while must wait as long as ever.
    clock = [f"LD_PRELOAD={FAKETIME}", f"FAKETIME=+{AHEAD_MINUTES}m"]
    clock.append("FAKETIME_DONT_FAKE_MONOTONIC=1")
    prefix = postgres._prefix()
    postgres.stop()
    with monkeypatch.context() as patched:
        patched.setattr(postgres, "_prefix", lambda: [*prefix, "env", *clock])
        postgres.start()
    try:
        yield
    finally:
        postgres.restart()


async def test_a_fleet_goes_on_at_once_when_its_databases_clock_is_set_right(
    fleet: Fleet,
    postgres: EmbeddedPostgres,
    connect: Connect,
    signed_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    with ahead(postgres, monkeypatch):
        db = await connect()
        ahead_s = await db.fetchval(AHEAD_OF, time.time())
        assert ahead_s == pytest.approx(60 * AHEAD_MINUTES, abs=60)
        (purchase,) = await sign_up(db, 1)
        stream = await Audience(db).stream()
        viewer = await signed_in(purchase.buyer)
        await viewer.execute(HEARTBEAT, stream)
        await fleet.start_web(port)
        running = [await fleet.start(each) for each in (WORKER, SCHEDULER)]
        await eventually(lambda: db.fetchval(IS_PUBLISHED, stream))
        # The viewer leaves without a word, and a purchase comes that no worker applies any more.
        for process in running:
            process.signal(signal.SIGSTOP)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await deliver(client, [purchase])
    db = await connect()
    told = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=fleet.database.url())
    assert "the database's clock was set back: stored times are" in told.stdout
    set_right_at = await db.fetchval("select clock_timestamp()")
    for process in running:
        process.signal(signal.SIGCONT)
    async with asyncio.timeout(RIGHT_WITHIN_S):
        await eventually(lambda: db.fetchval(RAN, "publish_state", set_right_at))
        await eventually(lambda: db.fetchval(f"select not ({IS_PUBLISHED})", stream))

        async def is_applied() -> bool:
            return await states(db, [purchase]) == ["applied"]

        await eventually(is_applied)
    assert await coins(db, [purchase]) == [COINS]
    assert await breaches(db) == {}
