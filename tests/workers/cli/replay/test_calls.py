"""`coinfleet replay calls` as an operator types it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.workers.cli.conftest import Ended

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.workers.cli.conftest import Typed

WHY = ("--why", "the key is right now")
KIND = "stripe.refund"


class Replay(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str, login: str = "owner") -> Ended:
        """Run it with these words as this login."""
        ...


@pytest.fixture
def replay(typed: Typed) -> Replay:
    """Runs `coinfleet replay calls`."""
    return partial(typed, "replay", "calls")


async def write(db: Connection, key: str, state: str = "dead", error: str = "404") -> int:
    """Write a call; gives its number."""
    call_id: int = await db.fetchval(
        "insert into fleet.provider_calls (kind, key, state, attempts, failures, last_error)"
        " values ($1, $2, $3, 5, 5, $4) returning id",
        KIND,
        key,
        state,
        error,
    )
    return call_id


async def test_all_dead_calls_are_made_again_and_no_worker_is_said(
    replay: Replay, db: Connection
) -> None:
    one, two = await write(db, "a"), await write(db, "b")
    await write(db, "c", "done")
    ended = await replay(*WHY)
    assert ended == Ended(
        1,
        f"{KIND}: 2 calls pending\n  call {one}: pending (404)\n  call {two}: pending (404)\n"
        "No worker reports: the calls are pending until one runs.\n",
        "",
    )
    assert await db.fetchval("select reason from fleet.operator_actions") == WHY[1]


async def test_each_is_followed_until_it_is_done_or_dead(replay: Replay, db: Connection) -> None:
    done, dead = await write(db, "a"), await write(db, "b")
    await db.execute("select fleet.report_worker('w', 1, null, 0::bigint, 0::bigint, 0, '{}')")
    command = asyncio.create_task(replay("--json", *WHY))
    while not command.done():
        for call in await db.fetch(
            "select * from fleet.claim_provider_calls('w', $1, 9, 9, 90)", [KIND]
        ):
            if call["id"] == done:
                await db.execute(
                    "select fleet.finish_provider_call($1, $2, '{}')", done, call["attempt"]
                )
            else:
                await db.execute(
                    "select fleet.fail_provider_call($1, $2, '401', 'refused')",
                    dead,
                    call["attempt"],
                )
    ended = await command
    told = json.loads(ended.out)
    assert (ended.code, told["found"], told["worker_reports"]) == (1, 2, True)
    assert {call["call_id"]: (call["state"], call["last_error"]) for call in told["calls"]} == {
        done: ("done", None),
        dead: ("dead", "401"),
    }


async def test_what_is_left_is_counted(replay: Replay, db: Connection) -> None:
    done = await write(db, "a", "done")
    ended = await replay(str(done), *WHY)
    assert (ended.code, ended.out) == (0, "Left as it is: 1 call done already.\n")


async def test_a_dry_run_changes_nothing(replay: Replay, db: Connection) -> None:
    call_id = await write(db, "a")
    ended = await replay("--dry-run")
    assert ended.code == 0
    assert f"call {call_id}: dead (404)" in ended.out
    assert ended.out.endswith("They would be made again. Nothing was changed.\n")
    assert await db.fetchval("select state from fleet.provider_calls") == "dead"


async def test_a_call_is_found_by_its_key(replay: Replay, db: Connection) -> None:
    await write(db, "a")
    await write(db, "b")
    await replay("b", *WHY)
    rows = await db.fetch("select key from fleet.provider_calls where state = 'pending'")
    assert [row["key"] for row in rows] == ["b"]


async def test_no_dead_call_is_said(replay: Replay, db: Connection) -> None:
    await write(db, "a", "done")
    assert await replay(*WHY) == Ended(0, "No call is dead.\n", "")


async def test_a_kind_of_which_none_is_dead_is_named(replay: Replay, db: Connection) -> None:
    await write(db, "a")
    ended = await replay("--kind", "nonsense", *WHY)
    assert ended == Ended(0, "No call of the kind nonsense is dead.\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say why"),
        (("--why", " "), "say why"),
        (("1", "--kind", KIND, *WHY), "in one way"),
        (("999", *WHY), "no call has such an id or key"),
        (("9" * 40, *WHY), "no call has such an id or key"),
        (("'; drop table x; --", *WHY), "no call has such an id or key"),
        (("²", *WHY), "no call has such an id or key"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(
    replay: Replay, db: Connection, words: tuple[str, ...], said: str
) -> None:
    await write(db, "a")
    ended = await replay(*words)
    assert (ended.code, said in ended.err) == (2, True)
    assert await db.fetchval("select state from fleet.provider_calls") == "dead"


async def test_only_the_owner_replays(replay: Replay, db: Connection) -> None:
    await write(db, "a")
    assert (await replay(*WHY, login="worker")).code == 2
    assert await db.fetchval("select state from fleet.provider_calls") == "dead"
