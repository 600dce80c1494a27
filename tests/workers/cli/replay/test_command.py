"""`coinfleet replay` as an operator types it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio

from tests.db.books import PRICE_LIST, Books, Payment

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.workers.cli.conftest import Ended, Typed

WHY = ("--why", "the cause is gone")


@pytest_asyncio.fixture
async def books(db: Connection) -> Books:
    """Books with a price list."""
    await db.execute(PRICE_LIST)
    return Books(db)


async def dead(books: Books, *, number: int = 1) -> list[int]:
    """Store events that are dead."""
    event_ids = await books.receive(
        *(Payment().bought(buyer) for buyer in await books.profiles(number))
    )
    await books.db.execute(
        "update fleet.inbox_events set state = 'dead', reason = 'failed', processed_at = now(),"
        " last_error = 'XX000: a bug'"
    )
    return event_ids


class Replay(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str) -> Ended:
        """Run it with these words."""
        ...


@pytest.fixture
def replay(typed: Typed) -> Replay:
    """Runs `coinfleet replay`."""
    return partial(typed, "replay")


async def test_without_a_worker_it_says_that_none_reports(replay: Replay, books: Books) -> None:
    [event_id] = await dead(books)
    code, said, error = await replay("--state", "dead", *WHY)
    assert (code, error) == (1, "")
    assert "1 event matches." in said
    assert "No worker reports: the events are pending until one runs." in said
    assert (await books.event(event_id))["state"] == "pending"
    assert await books.db.fetchval("select reason from fleet.operator_actions") == WHY[1]


async def test_it_follows_each_event_until_it_is_finished(replay: Replay, books: Books) -> None:
    fine, held = await dead(books, number=2)
    await books.db.execute(
        "update fleet.inbox_events set payload = $2 where id = $1",
        held,
        b'{"payment_keys": ["pi_x"], "kind": "verdict", "state": "held", "reason": "over_limit"}',
    )
    await books.db.execute(
        "select fleet.report_worker('w', 1, null, 0::bigint, 0::bigint, 0, '{}')"
    )
    command = asyncio.create_task(replay("--state", "dead", "--json", *WHY))
    while not command.done():
        books.now = await books.db.fetchval("select clock_timestamp()")
        await books.work()
    code, said, _ = await command
    ended = json.loads(said)
    assert (code, ended["matched"]) == (1, 2)
    assert {each["event_id"]: (each["state"], each["reason"]) for each in ended["events"]} == {
        fine: ("applied", None),
        held: ("held", "over_limit"),
    }


async def test_a_dry_run_counts_and_changes_nothing(replay: Replay, books: Books) -> None:
    [event_id] = await dead(books)
    await books.db.execute("update fleet.inbox_events set payload = '{}'")
    code, said, _ = await replay("--id", str(event_id), "--dry-run")
    assert code == 0
    assert "1 event matches." in said
    assert said.endswith("Nothing was changed.\n")
    assert (await books.event(event_id))["state"] == "dead"


async def test_an_event_that_waits_for_an_answer_is_said(replay: Replay, books: Books) -> None:
    [event_id] = await dead(books)
    intent = {"id": "pi_1", "type": "payment_intent", "url": "/v1/payment_intents/pi_1"}
    thin = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.payment_intent.succeeded",
        "livemode": False,
        "created": "2026-11-20T10:00:00.000Z",
        "related_object": intent,
    }
    await books.db.execute(
        "update fleet.inbox_events set payload = convert_to($1, 'UTF8')", json.dumps(thin)
    )
    code, said, _ = await replay("--id", str(event_id), "--dry-run")
    assert code == 0
    assert "dead: failed" in said
    assert "1 event waiting for an answer of the provider" in said
    assert await books.db.fetchval("select count(*) from fleet.provider_calls") == 0


async def test_events_without_a_payload_are_counted(replay: Replay, books: Books) -> None:
    await dead(books, number=2)
    await books.db.execute("update fleet.inbox_events set payload = null")
    code, said, _ = await replay("--reason", "failed", *WHY)
    assert code == 0
    assert "Left as it is: 2 events without a payload" in said


async def test_nothing_that_matches_is_said(replay: Replay) -> None:
    assert await replay("--state", "dead", *WHY) == (0, "No event matches.\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*WHY,), "say which events"),
        (("--provider", "stripe", *WHY), "say which events"),
        (("--state", "lost", *WHY), "no state lost"),
        (("--state", "dead"), "say why"),
        (("--state", "dead", "--why", " "), "say why"),
        (("--state", "dead", "--since", "soon", *WHY), "no time such as"),
        (("--id", "9" * 30, *WHY), "not so large"),
    ],
)
async def test_arguments_that_make_no_sense_are_refused(
    replay: Replay, words: tuple[str, ...], said: str
) -> None:
    ended = await replay(*words)
    assert ended.code == 2
    assert said in ended.err
