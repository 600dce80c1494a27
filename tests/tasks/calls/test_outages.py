"""How a call ended is not forgotten while the database is away, and not counted twice."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from tasks import provider_calls
from tasks.provider_calls import make_provider_calls
from tasks.providers.calls import CallFailed, CallRefused
from tests.conditions import DEADLINE_S, somebody_waits_for_a_lock
from tests.tasks.calls.shop import rows, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.connections.pool import Connection
    from tasks.context import Context
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.tasks.calls.shop import Shop

    # Waits until the database is away, lets the calls end, and has it back once that was noticed.
    Outage = Callable[[asyncio.Event], Awaitable[None]]


@pytest_asyncio.fixture
async def outage(database: Database, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Keeps the worker out of the database until how a call ended could not be written."""
    superuser = await connect("superuser")
    has_failed = asyncio.Event()

    def noting(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def try_it(*args: Any, **more: Any) -> Any:
            try:
                return await write(*args, **more)
            except Exception:
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
        await asyncio.wait_for(has_failed.wait(), DEADLINE_S)
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


async def test_how_a_call_ended_is_written_though_its_session_was_ended_meanwhile(
    context: Context,
    shop: Shop,
    db: Connection,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provider_calls, "WRITE_AGAIN_S", 0.01)
    superuser = await connect("superuser")
    await write(db, "a")
    shop.turn.clear()
    making = asyncio.create_task(make_provider_calls(context))
    await shop.is_making(1)
    async with db.transaction():
        await db.execute("select from fleet.provider_calls for update")
        shop.turn.set()
        await somebody_waits_for_a_lock(superuser)
        await superuser.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
    assert await making == 1
    call = (await rows(db))["a"]
    assert (call["state"], call["attempts"]) == ("done", 1)
    assert shop.made == ["a"]


@pytest.mark.parametrize(
    "ended",
    [
        (asyncpg.InternalClientError("cannot switch to state 11; another operation (2)"), "done"),
        (asyncpg.InterfaceError("connection is closed"), "done"),
        (asyncpg.DeadlockDetectedError("deadlock detected"), "done"),
        (asyncpg.UndefinedFunctionError("function does not exist"), "pending"),
    ],
    ids=lambda ended: type(ended[0]).__name__,
)
async def test_what_passes_is_no_reason_to_make_a_call_again(
    context: Context,
    shop: Shop,
    db: Connection,
    monkeypatch: pytest.MonkeyPatch,
    ended: tuple[Exception, str],
) -> None:
    error, state = ended
    finish, errors = provider_calls.finish_call, [error]

    async def failing_once(*args: Any) -> bool:
        if errors:
            raise errors.pop()
        return await finish(*args)

    monkeypatch.setattr(provider_calls, "WRITE_AGAIN_S", 0.01)
    monkeypatch.setattr(provider_calls, "finish_call", failing_once)
    await write(db, "a")
    with nullcontext() if state == "done" else pytest.raises(type(error)):
        await make_provider_calls(context)
    assert (await rows(db))["a"]["state"] == state
    assert shop.made == ["a"]


async def test_a_call_that_ended_twice_for_one_attempt_failed_once(db: Connection) -> None:
    await write(db, "a")
    await db.execute(
        "select * from fleet.claim_provider_calls('w', array['shop.refund'], 1, 8, 90)"
    )
    failing = "select * from fleet.fail_provider_call(1, 1, 'KeyError', 'defect')"
    assert await db.fetchrow(failing) is not None
    assert await db.fetchrow(failing) is None
    assert (await rows(db))["a"]["failures"] == 1
