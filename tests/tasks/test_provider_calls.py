"""Provider calls as a worker makes them: outside any transaction, and each recorded once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from tasks import provider_calls
from tasks.breaker import OPEN_AFTER
from tasks.provider_calls import make_provider_calls
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tests.conditions import eventually
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from db.connections.pool import Connection, Pool
    from db.outbox.provider_calls import ProviderCall
    from tasks.context import Context
    from tests.clusters import Database
    from tests.conftest import Connect

    # Waits until the database is away, lets the calls end, and has it back once that was noticed.
    Outage = Callable[[asyncio.Event], Awaitable[None]]

KIND = "shop.refund"
AT_ONCE_HERE = 4


class Shop:
    """A provider whose calls do what the test says; it keeps nothing open."""

    name = "shop"
    calls_at_once_here = AT_ONCE_HERE
    calls_at_once = 8

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.running = 0
        self.most = 0
        self.done: list[str] = []
        self.turn = asyncio.Event()
        self.turn.set()
        self.slow: set[str] = set()
        self.slow_turn = asyncio.Event()
        self.kinds = {KIND: self.make}

    def calls(self) -> dict[str, Any]:
        return self.kinds

    async def check_account(self) -> None:
        """Its key is ours."""

    async def is_making(self, calls: int) -> None:
        """Wait until so many calls have begun."""

        async def are_begun() -> bool:
            return self.running >= calls

        await eventually(are_begun)

    async def make(self, call: ProviderCall) -> dict[str, Any]:
        self.made.append(call.key)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.turn.wait()
            if call.key in self.slow:
                await self.slow_turn.wait()
        finally:
            self.running -= 1
        if failure := self.fails.get(call.key):
            raise failure
        self.done.append(call.key)
        return {"key": call.key}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def context(worker_pool: Pool, shop: Shop) -> Context:
    """What a worker gives to the task, with one provider."""
    return make_context(worker_pool, providers={"shop": shop})


async def write(db: Connection, *keys: str, kind: str = KIND) -> None:
    await db.execute(
        "insert into fleet.provider_calls (kind, key) select $1, k from unnest($2::text[]) as k",
        kind,
        list(keys),
    )


async def rows(db: Connection) -> dict[str, asyncpg.Record]:
    found = await db.fetch("select * from fleet.provider_calls order by id")
    return {row["key"]: row for row in found}


async def make_due(db: Connection) -> None:
    """Let the pauses of failed calls be over."""
    await db.execute("update fleet.provider_calls set next_attempt_at = now()")


async def test_a_call_is_made_once_and_its_answer_is_stored(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "a", "b")
    assert await make_provider_calls(context) == 2
    assert await make_provider_calls(context) == 0
    assert sorted(shop.made) == ["a", "b"]
    call = (await rows(db))["a"]
    assert (call["state"], call["result"], call["worker"]) == ("done", '{"key": "a"}', "test")


async def test_a_call_is_made_outside_any_transaction(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "a")
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(1)
    open_transactions = await db.fetchval(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and xact_start is not null and pid <> pg_backend_pid()"
    )
    shop.turn.set()
    await making
    assert open_transactions == 0


async def test_only_so_many_calls_of_a_provider_are_made_at_once(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, *(f"key {number}" for number in range(3 * AT_ONCE_HERE)))
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(AT_ONCE_HERE)
    shop.turn.set()
    assert await making == 3 * AT_ONCE_HERE
    assert shop.most == AT_ONCE_HERE


async def test_a_slow_call_holds_up_no_other_and_the_bound_is_kept(
    context: Context, shop: Shop, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So it is not the second look that finds the others.
    monkeypatch.setattr(provider_calls, "LOOK_AGAIN_S", 3_600)
    others = [f"key {number}" for number in range(5 * AT_ONCE_HERE)]
    shop.slow = {"slow 1", "slow 2"}
    await write(db, *shop.slow, *others)
    making = asyncio.create_task(make_provider_calls(context))

    async def all_others_are_done() -> bool:
        return sorted(shop.done) == sorted(others)

    await eventually(all_others_are_done)
    shop.slow_turn.set()
    assert await making == len(others) + 2
    assert shop.most <= AT_ONCE_HERE
    assert {row["state"] for row in (await rows(db)).values()} == {"done"}


async def test_what_is_written_while_a_slow_call_runs_is_made_too(
    context: Context, shop: Shop, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_calls, "LOOK_AGAIN_S", 0.05)
    shop.slow = {"slow"}
    await write(db, "slow")
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(1)
    await write(db, "late")

    async def late_is_done() -> bool:
        return shop.done == ["late"]

    await eventually(late_is_done)
    assert not making.done()
    shop.slow_turn.set()
    assert await making == 2


async def test_calls_that_are_cut_are_not_left_running(
    context: Context, shop: Shop, db: Connection
) -> None:
    shop.slow = {"slow"}
    await write(db, "slow")
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(1)
    making.cancel()
    # Long before the call's own time limit.
    await asyncio.wait([making], timeout=10)
    assert making.cancelled()
    assert shop.running == 0
    # Another worker makes it again once the lease is over.
    assert (await rows(db))["slow"]["state"] == "pending"


async def test_each_failure_ends_as_its_class_says(
    context: Context, shop: Shop, db: Connection
) -> None:
    shop.fails = {
        "unreachable": ProviderUnreachable("ConnectError"),
        "conflict": CallFailed("409 conflict"),
        "unknown": CallRefused("404 resource_missing"),
    }
    await write(db, *shop.fails, "good")
    await make_provider_calls(context)
    found = {key: (row["state"], row["last_error"]) for key, row in (await rows(db)).items()}
    assert found == {
        "unreachable": ("pending", "ConnectError"),
        "conflict": ("pending", "409 conflict"),
        "unknown": ("dead", "404 resource_missing"),
        "good": ("done", None),
    }


async def test_a_provider_that_throttles_or_refuses_the_key_gets_no_more_calls(
    context: Context, shop: Shop, db: Connection
) -> None:
    shop.fails = {
        "throttled": ProviderThrottled("429", retry_after_s=50),
        "refused": KeyRefused("401"),
    }
    await write(db, *shop.fails)
    await make_provider_calls(context)
    await write(db, "later")
    await make_provider_calls(context)
    found = await rows(db)
    assert [(row["state"], row["attempts"]) for row in found.values()] == [
        ("pending", 1),
        ("pending", 1),
        ("pending", 0),
    ]
    pause_s = "extract(epoch from next_attempt_at - clock_timestamp())"
    waits = await db.fetchval(
        f"select {pause_s} > 20 from fleet.provider_calls where key = 'throttled'"
    )
    assert waits


async def test_a_defect_is_recorded_without_its_message_and_harms_no_other(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "a", "b")
    shop.fails["a"] = KeyError("Jane Doe")
    with capture_logs() as logs:
        await make_provider_calls(context)
    found = await rows(db)
    assert found["a"]["last_error"].startswith("KeyError at test_provider_calls.py:")
    assert (found["a"]["state"], found["a"]["failures"]) == ("pending", 1)
    assert found["b"]["state"] == "done"
    assert "Jane" not in str(logs)


async def test_while_a_provider_is_unreachable_one_call_is_tried(
    context: Context, shop: Shop, db: Connection
) -> None:
    keys = [f"key {number}" for number in range(AT_ONCE_HERE + 4)]
    shop.fails = dict.fromkeys(keys, ProviderUnreachable("ConnectError"))
    await write(db, *keys)
    with capture_logs() as logs:
        await make_provider_calls(context)
        # The others wait untried; more looks change nothing.
        await make_provider_calls(context)
    assert OPEN_AFTER <= len(shop.made) == AT_ONCE_HERE
    outages = [line for line in logs if line["event"] == "provider_unreachable"]
    assert [(line["provider"], line["reason"]) for line in outages] == [("shop", "ConnectError")]


async def test_a_slow_provider_holds_up_no_other(
    worker_pool: Pool, shop: Shop, db: Connection
) -> None:
    other = Shop()
    other.name = "other"
    other.kinds = {"other.consume": other.make}
    context = make_context(worker_pool, providers={"shop": shop, "other": other})
    await write(db, "slow")
    await write(db, "quick", kind="other.consume")
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))

    async def is_quick_done() -> bool:
        return (await rows(db))["quick"]["state"] == "done"

    await eventually(is_quick_done)
    assert shop.running == 1
    shop.turn.set()
    assert await making == 2


async def test_a_provider_without_its_settings_makes_no_call_and_they_wait(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "a")
    shop.kinds = {}
    assert await make_provider_calls(context) == 0
    call = (await rows(db))["a"]
    assert (call["state"], call["attempts"]) == ("pending", 0)


async def test_a_call_that_fails_is_made_again_until_it_is_done(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "a")
    shop.fails["a"] = CallFailed("409 conflict")
    for _ in range(3):
        await make_provider_calls(context)
        await make_due(db)
    del shop.fails["a"]
    await make_provider_calls(context)
    call = (await rows(db))["a"]
    assert (call["state"], call["attempts"], call["last_error"]) == ("done", 4, None)


async def test_a_call_that_keeps_failing_becomes_an_alarm(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, "new", "old")
    await db.execute(
        "update fleet.provider_calls set first_attempt_at = now() - interval '16 minutes'"
        " where key = 'old'"
    )
    shop.fails = dict.fromkeys(("new", "old"), CallFailed("409 conflict"))
    with capture_logs() as logs:
        await make_provider_calls(context)
    lines = [line for line in logs if line["event"] == "provider_call_failed"]
    assert sorted(line["log_level"] for line in lines) == ["error", "warning"]
    assert {(line["error"], line["attempt"], line["then"]) for line in lines} == {
        ("409 conflict", 1, "made again in 1 s")
    }


async def test_a_process_that_stops_begins_no_more_calls(
    context: Context, shop: Shop, db: Connection
) -> None:
    await write(db, *(f"key {number}" for number in range(2 * AT_ONCE_HERE)))
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(AT_ONCE_HERE)
    context.stopping.set()
    shop.turn.set()
    assert await making == AT_ONCE_HERE
    states = [row["state"] for row in (await rows(db)).values()]
    assert states.count("done") == states.count("pending") == AT_ONCE_HERE


@pytest_asyncio.fixture
async def outage(database: Database, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Keeps the worker out of the database until how a call ended could not be written."""
    superuser = await connect("superuser")
    has_failed = asyncio.Event()

    def noting(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def try_it(*args: Any, **more: Any) -> Any:
            try:
                return await write(*args, **more)
            except DatabaseUnavailable:
                has_failed.set()
                raise

        return try_it

    async def pass_by(let_it_end: asyncio.Event) -> None:
        await superuser.execute(f"revoke connect on database {database.name} from public")
        await superuser.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and usename = 'coinfleet_worker'"
        )
        let_it_end.set()
        await asyncio.wait_for(has_failed.wait(), 10)
        await superuser.execute(f"grant connect on database {database.name} to public")

    monkeypatch.setattr(provider_calls, "WRITE_AGAIN_S", 0.01)
    for name in ("finish_call", "fail_call"):
        monkeypatch.setattr(provider_calls, name, noting(getattr(provider_calls, name)))
    return pass_by


@pytest.mark.parametrize(
    "ended", [(None, "done"), (CallRefused("402 no"), "dead"), (CallFailed("503"), "pending")]
)
async def test_how_a_call_ended_is_written_when_the_database_is_back(
    context: Context,
    shop: Shop,
    db: Connection,
    outage: Outage,
    ended: tuple[Exception | None, str],
) -> None:
    failure, state = ended
    shop.fails = {"a": failure} if failure else {}
    await write(db, "a")
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(1)
    await outage(shop.turn)
    assert await making == 1
    call = (await rows(db))["a"]
    assert (call["state"], call["attempts"], call["lease_until"]) == (state, 1, None)


async def test_a_call_that_ended_twice_for_one_attempt_failed_once(db: Connection) -> None:
    await write(db, "a")
    await db.execute(
        "select * from fleet.claim_provider_calls('w', array['shop.refund'], 1, 8, 90)"
    )
    failing = "select * from fleet.fail_provider_call(1, 1, 'KeyError', 'defect')"
    assert await db.fetchrow(failing) is not None
    assert await db.fetchrow(failing) is None
    assert (await rows(db))["a"]["failures"] == 1
