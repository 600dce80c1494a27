"""What `coinfleet status` says of calls to providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.facts import Call, Question
from db.health.vital_signs import read_vital_signs
from tests.db.books import PRICE_LIST, Books
from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")

KIND, FETCH = "stripe.refund", "stripe.fetch_object"


@pytest_asyncio.fixture
async def books(db: Connection) -> Books:
    """Books with a price list."""
    await db.execute(PRICE_LIST)
    return Books(db)


async def write(db: Connection, key: str, columns: str = "", values: str = "") -> int:
    """Write a call; gives its number."""
    call_id: int = await db.fetchval(
        f"insert into fleet.provider_calls (kind, key{columns})"
        f" values ($1, $2{values}) returning id",
        KIND,
        key,
    )
    return call_id


async def test_a_dead_call_needs_a_person_and_the_command_has_it_made_again(
    database: Database, db: Connection
) -> None:
    dead = ", state, attempts, first_attempt_at, last_error"
    values = ", 'dead', 1, now(), '404 resource_missing'"
    oldest = await write(db, "a", dead, values)
    await write(db, "b", dead, values)
    (line,) = (await health_of(database)).attention
    assert line.startswith(
        f"dead: 2 calls to providers, the oldest with id {oldest}"
        f" ({KIND}: 404 resource_missing): remove the cause, then have it made again:"
        f" `coinfleet replay calls {oldest} --why WHY`"
    )
    await db.execute("select fleet.replay_calls(array[$1::bigint], 'ann', 'why', '{}')", oldest)
    claimed = await db.fetch("select * from fleet.claim_provider_calls('w', $1, 9, 9, 90)", [KIND])
    assert [(call["id"], call["is_retry"]) for call in claimed] == [(oldest, True)]


async def test_a_dead_question_names_the_event_that_waits_for_it(
    database: Database, db: Connection, books: Books
) -> None:
    (event_id,) = await books.receive(Question(call=Call(kind=FETCH, key="fetch", request={})))
    await books.work()
    (call,) = await db.fetch("select * from fleet.claim_provider_calls('w', $1, 9, 9, 90)", [FETCH])
    await db.execute("select fleet.fail_provider_call($1, 1, '404', 'refused')", call["id"])
    (line,) = (await health_of(database)).attention
    assert f"({FETCH}: 404), for which event {event_id} waits: remove the cause" in line


async def test_a_call_that_keeps_failing_needs_a_person(database: Database, db: Connection) -> None:
    columns = ", attempts, first_attempt_at, last_error"
    values = ", 9, now() - interval '{} minutes', '401 unknown'"
    await write(db, "new", columns, values.format(14))
    old = await write(db, "old", columns, values.format(16))
    assert (await health_of(database)).attention == [
        f"call {old} ({KIND}) has been failing for 16 min: 401 unknown; attempts go on"
    ]


async def test_calls_that_no_worker_tries_need_a_key(database: Database, db: Connection) -> None:
    await write(db, "a")
    assert (await health_of(database)).healthy
    await db.execute("update fleet.provider_calls set created_at = now() - interval '2 minutes'")
    (line,) = (await health_of(database)).attention
    assert line == (
        "calls to stripe: 1 untried, the oldest for 2 min, because no worker can make them:"
        " set STRIPE_API_KEY for `worker`"
    )


async def test_a_question_between_two_answers_needs_nobody(
    database: Database, db: Connection
) -> None:
    # As one for a purchase that is pending at Google for hours, and is read at pauses.
    columns = ", attempts, created_at, next_attempt_at"
    values = ", 3, now() - interval '2 hours', now() + interval '{} minutes'"
    await write(db, "a", columns, values.format(30))
    assert (await health_of(database)).attention == []
    # Unless its time has come, and nobody asks.
    await write(db, "b", columns, values.format(-5))
    (line,) = (await health_of(database)).attention
    assert line.startswith("calls to stripe: 1 untried, the oldest for 5 min")


async def test_what_is_open_is_counted_for_metrics_and_for_json(
    database: Database, db: Connection, web_pool: Pool
) -> None:
    await write(db, "a")
    await write(db, "b", ", state", ", 'done'")
    (counted,) = (await health_of(database)).calls
    assert (counted.kind, counted.state, counted.calls, counted.untried) == (KIND, "pending", 1, 1)
    signs = await read_vital_signs(web_pool, timeout_s=5)
    assert [calls.kind for calls in signs.calls] == [KIND]
