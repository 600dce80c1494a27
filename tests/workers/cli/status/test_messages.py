"""What `coinfleet status` and the metrics say of messages to the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.health.vital_signs import read_vital_signs
from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")

WRITE = "insert into fleet.provider_calls (kind, key, {}) values ('app.deliver', $1, {})"


async def write(db: Connection, key: str, columns: str, values: str) -> None:
    await db.execute(WRITE.format(columns, values), key)


async def test_messages_that_are_sent_need_nobody(database: Database, db: Connection) -> None:
    await write(db, "new", "state", "'pending'")
    await write(db, "taken", "state, finished_at", "'done', now()")
    await write(
        db,
        "late",
        "created_at, first_attempt_at, last_error",
        "now() - interval '9 minutes', now() - interval '9 minutes', '500'",
    )
    assert (await health_of(database)).attention == []


async def test_an_app_that_wants_no_messages_needs_a_person(
    database: Database, db: Connection, web_pool: Pool
) -> None:
    await write(db, "waits", "created_at", "now() - interval '1 day'")
    await db.execute(
        "insert into fleet.call_pauses values"
        " ('app.deliver', '410: no', now() - interval '2 hours')"
    )
    (line,) = (await health_of(database)).attention
    assert line == (
        "the app is told nothing for 2 h (410: no): 1 message waiting:"
        " mend its address, then: `coinfleet replay deliveries`"
    )
    (paused,) = (await read_vital_signs(web_pool, timeout_s=5)).paused_calls
    assert (paused.kind, round(paused.paused_s / 3600)) == ("app.deliver", 2)


async def test_messages_that_were_given_up_need_a_person(
    database: Database, db: Connection
) -> None:
    for key in ("gift-applied-1", "gift-applied-2"):
        await write(db, key, "state, last_error", "'dead', '500'")
    (line,) = (await health_of(database)).attention
    assert line == (
        "given up: 2 messages to the app, the oldest gift-applied-1 (500): mend the cause,"
        " then have them sent again: `coinfleet replay deliveries --dead`"
    )


async def test_an_app_that_takes_nothing_for_a_while_needs_a_person(
    database: Database, db: Connection
) -> None:
    ages = "now() - interval '{0} minutes', now() - interval '{0} minutes', 'ConnectError'"
    for key, minutes in (("old", 20), ("younger", 10)):
        await write(db, key, "created_at, first_attempt_at, last_error", ages.format(minutes))
    assert (await health_of(database)).attention == [
        "2 messages to the app not taken, the oldest (old) for 20 min: ConnectError; attempts go on"
    ]


async def test_messages_that_no_worker_sends_need_a_setting(
    database: Database, db: Connection
) -> None:
    await write(db, "a", "created_at", "now() - interval '5 minutes'")
    (line,) = (await health_of(database)).attention
    assert line == (
        "1 message to the app untried, the oldest for 5 min, because no worker can send them:"
        " set APP_EVENTS_URL and APP_EVENTS_SECRETS for `worker`"
    )
