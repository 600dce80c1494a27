"""`coinfleet replay deliveries` as an operator types it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import pytest_asyncio

from db.outbox import deliveries
from workers.cli import make_app
from workers.cli.endings import run_command
from workers.cli.origin import origin

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

NOW = datetime.now(UTC)
TEXT = json.dumps({"type": "gift.applied"})


class Ended(NamedTuple):
    """What is seen of a command that has ended."""

    code: int
    out: str
    err: str


class Replay(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str, login: str = "owner") -> Ended:
        """Run it with these words as this login."""
        ...


@pytest.fixture
def replay(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Replay:
    """Runs `coinfleet replay deliveries` in this process: its start would take a second."""

    async def run(*words: str, login: str = "owner") -> Ended:
        monkeypatch.setenv("DATABASE_URL", database.url(login))

        def command() -> None:
            make_app(["replay"])(["replay", "deliveries", *words], prog_name="coinfleet")

        # In a thread, for it brings its own loop.
        code = await asyncio.to_thread(run_command, command, as_json="--json" in words)
        return Ended(code, *capsys.readouterr())

    return run


@pytest_asyncio.fixture
async def outbox(db: Connection) -> Connection:
    """Messages in each state, and calls of other kinds."""
    await db.executemany(
        "insert into fleet.provider_calls"
        " (kind, key, state, request, attempts, next_attempt_at, lease_until, created_at,"
        " finished_at) values ($1, $2, $3, $4, 7, $5, $6, $7, $8)",
        [
            _row("waits", "pending"),
            _row("in hand", "pending", leased=True),
            _row("dead", "dead"),
            _row("erased", "dead", request="{}"),
            _row("taken", "done"),
            _row("taken long ago", "done", age=timedelta(days=3)),
            _row("a refund", "dead", kind="stripe.refund"),
        ],
    )
    return db


def _row(
    key: str,
    state: str,
    *,
    kind: str = "app.deliver",
    request: str = TEXT,
    leased: bool = False,
    age: timedelta = timedelta(),
) -> tuple[object, ...]:
    later = NOW + timedelta(hours=9)
    at = NOW - age
    return (kind, key, state, request, later, later if leased else None, at, at)


async def due(db: Connection) -> list[str]:
    """The keys of what a worker would send now, from its first attempt on."""
    rows = await db.fetch(
        "select key from fleet.provider_calls where state = 'pending' and attempts = 0"
        " and next_attempt_at <= clock_timestamp() order by id"
    )
    return [key for (key,) in rows]


async def pause(db: Connection) -> None:
    await db.execute(
        "insert into fleet.call_pauses values ('app.deliver', '410', now() - interval '2 hours')"
    )


async def test_without_an_option_the_pause_ends_and_what_waits_is_sent(
    replay: Replay, outbox: Connection
) -> None:
    await pause(outbox)
    ended = await replay()
    assert ended == Ended(
        0,
        "1 message will be sent again, each under its id\n"
        "1 message in the hands of a worker just now\n"
        "the pause of 2 h has ended (410)\n",
        "",
    )
    assert await due(outbox) == ["waits"]
    assert await outbox.fetch("select from fleet.call_pauses") == []


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["--dead"], ["dead"]),
        (["--since", (NOW - timedelta(days=1)).isoformat()], ["waits", "dead", "taken"]),
        (["--since", "2020-01-01"], ["waits", "dead", "taken", "taken long ago"]),
        (["taken", "dead"], ["dead", "taken"]),
    ],
)
async def test_what_is_asked_for_is_sent_again(
    replay: Replay, outbox: Connection, words: list[str], sent: list[str]
) -> None:
    assert (await replay(*words)).code == 0
    assert await due(outbox) == sent


async def test_what_was_erased_is_counted_and_not_sent(replay: Replay, outbox: Connection) -> None:
    ended = await replay("--dead")
    assert "1 message can't be sent: their person was erased" in ended.out
    state = await outbox.fetchval("select state from fleet.provider_calls where key = 'erased'")
    assert state == "dead"


async def test_a_dry_run_changes_nothing(replay: Replay, outbox: Connection) -> None:
    await pause(outbox)
    ended = await replay("--dead", "--dry-run")
    assert ended.out.startswith("1 message would be sent again")
    assert "the pause of 2 h would end" in ended.out
    assert await due(outbox) == []
    assert len(await outbox.fetch("select from fleet.call_pauses")) == 1


async def test_json_tells_the_same(replay: Replay, outbox: Connection) -> None:
    told = json.loads((await replay("--dead", "--json")).out)
    assert told == {"dry_run": False, "found": 1, "sent_again": 1, "erased": 1, "pause": None}


async def actions(db: Connection) -> list[dict[str, object]]:
    """What operators did, with the keys of the messages."""
    rows = await db.fetch(
        "select a.action, a.typed_by, a.reason, a.detail, array(select c.key"
        " from fleet.provider_calls as c where c.id = any(a.call_ids) order by c.id) as keys"
        " from fleet.operator_actions as a order by a.id"
    )
    return [dict(row) | {"detail": json.loads(row["detail"])} for row in rows]


async def test_who_had_messages_sent_again_is_kept_with_the_messages(
    replay: Replay, outbox: Connection
) -> None:
    await pause(outbox)
    await replay("dead", "taken", "--why", "the app lost them")
    (action,) = await actions(outbox)
    assert (action["action"], action["reason"]) == ("replay deliveries", "the app lost them")
    assert action["typed_by"] == origin()
    assert action["keys"] == ["dead", "taken"]
    assert action["detail"] == {
        "dead": False,
        "since": None,
        "names": ["dead", "taken"],
        "ended_pause": True,
    }


async def test_each_batch_is_kept_and_a_pause_without_messages_too(
    replay: Replay, outbox: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "BATCH_MESSAGES", 2)
    await replay("--since", "2020-01-01")
    assert [each["keys"] for each in await actions(outbox)] == [
        ["waits"],
        ["dead", "taken"],
        ["taken long ago"],
    ]
    await outbox.execute("delete from fleet.provider_calls")
    await pause(outbox)
    await replay()
    assert (await actions(outbox))[-1]["keys"] == []
    # Nothing was done, so nothing is kept.
    await replay()
    assert len(await actions(outbox)) == 4


async def test_a_batch_that_can_not_be_kept_sends_nothing(
    replay: Replay, outbox: Connection
) -> None:
    await pause(outbox)
    await outbox.execute("alter table fleet.operator_actions add constraint full_ check (false)")
    assert (await replay("--dead")).code != 0
    assert await due(outbox) == []
    assert len(await outbox.fetch("select from fleet.call_pauses")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dead", "--since", "2026-05-04"], "in one way"),
        (["--since", "yesterday"], "is no time"),
        (["nothing"], "no message has such a webhook-id"),
        (["a refund"], "no message has such a webhook-id"),
    ],
)
async def test_what_cannot_be_asked_changes_nothing(
    replay: Replay, outbox: Connection, words: list[str], said: str
) -> None:
    ended = await replay(*words)
    assert (ended.code, said in ended.err) == (2, True)
    assert await due(outbox) == []


async def test_only_the_owner_replays(replay: Replay, outbox: Connection) -> None:
    ended = await replay("--dead", login="worker")
    assert ended.code == 2
    assert await due(outbox) == []
