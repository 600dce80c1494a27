"""Few sessions, or one: each caller waits for its turn, and batches go on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, cast

import pytest
import pytest_asyncio

from db.connections.pool import open_pool
from db.connections.spare_session import execute_on_spare
from db.errors import DatabaseUnavailable, describe, is_out_of_sessions
from db.facts import Verdict
from db.inbox import batch_starts
from db.inbox.claims import Inbox
from tests.db.books import Payment
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.servers.supavisor import FULL, NO_CLIENT_MORE, NOTHING_FREE, Supavisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tests.clusters import Database
    from tests.db.books import Books

    Limit = Callable[[int], Awaitable[None]]


@pytest_asyncio.fixture
async def limit(db: Connection, database: Database) -> Limit:
    """Leave so many sessions beside the test's own."""

    async def leave(sessions: int) -> None:
        await db.execute(f"alter database {database.name} connection limit {sessions + 1}")

    return leave


@asynccontextmanager
async def pooled(url: str, *, max_size: int = 8) -> AsyncIterator[Pool]:
    """A pool as a process opens it, not connected yet."""
    pool = await open_pool(url, application_name="test", max_size=max_size, min_size=0)
    try:
        yield pool
    finally:
        pool.terminate()


def ignore(_event: ClaimedEvent) -> Fact:
    """Interpret any event as one that doesn't concern us."""
    return Verdict(state="ignored", reason="unknown_type")


async def twice_at_once(pool: Pool, times: int) -> None:
    """Two users of a pool, each again and again."""

    async def use() -> None:
        for _ in range(times):
            async with pool.acquire() as session, session.transaction():
                await session.execute("select")

    await asyncio.gather(use(), use())


@pytest.mark.parametrize("sessions", [1, 2])
async def test_all_users_of_a_pool_share_the_sessions_that_exist(
    limit: Limit, database: Database, sessions: int
) -> None:
    await limit(sessions)
    async with pooled(database.url("worker")) as pool:
        answers = await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(20)))
        assert answers == list(range(20))
        assert pool.get_size() <= sessions


async def test_processes_that_share_one_session_all_get_their_turn(
    limit: Limit, database: Database
) -> None:
    await limit(1)
    logins = ("web", "worker", "scheduler")
    async with (
        pooled(database.url(logins[0])) as web,
        pooled(database.url(logins[1])) as worker,
        pooled(database.url(logins[2])) as scheduler,
    ):
        await asyncio.gather(*(twice_at_once(pool, 5) for pool in (web, worker, scheduler)))


async def test_two_pools_of_a_process_take_the_only_session_from_one_another(
    limit: Limit, database: Database
) -> None:
    await limit(1)
    url = database.url("web")
    async with pooled(url) as storing:
        asking = await open_pool(
            url, application_name="test", max_size=1, min_size=0, shares_with=storing
        )
        for pool in (asking, storing, asking, storing):
            assert await pool.fetchval("select 1") == 1
        asking.terminate()


async def test_without_any_session_the_error_says_so(limit: Limit, database: Database) -> None:
    await limit(0)
    async with pooled(database.url("worker")) as pool:
        with pytest.raises(DatabaseUnavailable) as caught:
            await pool.fetchval("select 1")
    assert is_out_of_sessions(caught.value)


async def test_no_caller_waits_for_a_session_longer_than_its_timeout(
    limit: Limit, database: Database
) -> None:
    await limit(1)
    async with pooled(database.url("worker")) as pool, pool.acquire():
        for _ in range(2):
            with pytest.raises(Exception) as caught:
                await pool.acquire(timeout=0.05)
            assert is_out_of_sessions(caught.value) or isinstance(caught.value, TimeoutError)


async def test_a_statement_on_a_spare_session_is_not_begun_where_none_is_free(
    limit: Limit, database: Database
) -> None:
    await limit(1)
    async with pooled(database.url("worker")) as pool, pool.acquire():
        assert await execute_on_spare(pool, "select") is False
    await limit(2)
    async with pooled(database.url("worker")) as pool, pool.acquire():
        assert await execute_on_spare(pool, "select", free_within_s=5)


@pytest.mark.parametrize("idle", [True, False])
async def test_a_statement_on_a_spare_session_that_takes_too_long_is_given_up(
    database: Database, *, idle: bool
) -> None:
    async with pooled(database.url("worker")) as pool, pool.acquire():
        if idle:
            await pool.fetchval("select 1")
        assert await execute_on_spare(pool, "select pg_sleep(5)", free_within_s=5) is None


class LateSession:
    """A pool with one session, which opens when it is told, and notes what it executes."""

    def __init__(self) -> None:
        self.opens, self.is_back = asyncio.Event(), asyncio.Event()
        self.executed: list[str] = []

    def get_idle_size(self) -> int:
        return 0

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[LateSession]:  # noqa: ASYNC109
        del timeout
        await self.opens.wait()
        yield self
        self.is_back.set()

    async def execute(self, statement: str) -> None:
        self.executed.append(statement)


async def test_a_session_that_opens_too_late_executes_nothing_and_is_kept() -> None:
    late = LateSession()
    assert await execute_on_spare(cast("Pool", late), "select", free_within_s=0) is False
    late.opens.set()
    await late.is_back.wait()
    assert late.executed == []


# Batches


@pytest.mark.parametrize(("claimed_in_s", "free_within_s"), [(0, 0.05), (0.1, 0.15)])
async def test_a_batch_waits_for_a_second_session_for_50_ms_and_as_long_as_its_claim_took(
    worker_pool: Pool, monkeypatch: pytest.MonkeyPatch, claimed_in_s: float, free_within_s: float
) -> None:
    waited = []

    async def none_is_free(*_: object, free_within_s: float) -> bool:
        waited.append(free_within_s)
        return False

    monkeypatch.setattr(batch_starts, "execute_on_spare", none_is_free)
    notes = batch_starts.StartNotes(worker_pool, worker="test")
    with pytest.raises(batch_starts.NoSpareSession):
        await notes.note_beside(batch_starts.StartNote(1, []), claimed_in_s=claimed_in_s)
    assert waited == [pytest.approx(free_within_s)]
    assert notes.must_be_ahead


async def process(pool: Pool, books: Books, *, batches: int = 3) -> None:
    """Process batches of one event that is ignored; no attempt may be counted against one."""
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(batches)))
    inbox = Inbox(pool, worker="test")
    for event_id in event_ids:
        result = await inbox.process_batch(ignore, limit=1)
        assert [(each.event_id, each.state) for each in result.outcomes] == [(event_id, "ignored")]
    await inbox.forget_failed_starts()
    rows = await books.db.fetch("select attempts, starts from fleet.inbox_events")
    assert {tuple(row) for row in rows} == {(1, 0)}
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


@pytest.mark.long_but_first
@pytest.mark.parametrize("sessions", [1, 2, 8])
async def test_batches_go_on_with_as_few_sessions_as_there_are(
    books: Books, limit: Limit, database: Database, sessions: int
) -> None:
    await limit(sessions)
    async with pooled(database.url("worker")) as pool:
        await process(pool, books)


@pytest.mark.long_but_first
@pytest.mark.parametrize("refusal", [FULL, NO_CLIENT_MORE, NOTHING_FREE])
async def test_batches_go_on_with_the_one_session_that_supavisor_gives(
    books: Books, database: Database, refusal: str
) -> None:
    async with Supavisor(database.url("worker"), sessions=1, refusal=refusal) as supavisor:
        async with pooled(supavisor.url) as pool:
            await process(pool, books)
        assert supavisor.refused


@pytest.mark.parametrize(
    ("right", "wrong", "cause"),
    [
        (":test@", ":wrong@", "password authentication failed"),
        ("coinfleet_worker:", "nobody:", "password authentication failed"),
        ("/test_", "/no_such_", "does not exist"),
        ("127.0.0.1", "no-such-host.invalid", "no-such-host.invalid"),
    ],
)
async def test_what_keeps_batches_from_the_database_is_raised_with_its_cause(
    database: Database, right: str, wrong: str, cause: str
) -> None:
    url = database.url("worker")
    assert right in url
    async with pooled(url.replace(right, wrong)) as pool:
        with pytest.raises(DatabaseUnavailable) as caught:
            await Inbox(pool, worker="w").process_batch(ignore, limit=1)
    assert cause in describe(caught.value)
    assert caught.value.__cause__ is not caught.value


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_batches_go_on_with_the_one_session_that_pgbouncer_gives(
    books: Books, database: Database, tmp_path: Path, mode: Literal["transaction", "session"]
) -> None:
    pooler = PgBouncer(tmp_path, [database.url("worker")], sessions=1, mode=mode)
    pooler.start()
    try:
        async with pooled(pooler.url(database.url("worker"))) as pool:
            await process(pool, books)
    finally:
        pooler.stop()


async def test_an_event_that_fails_in_the_only_session_fails_alone(
    books: Books, limit: Limit, database: Database
) -> None:
    await limit(1)
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(3)))

    def interpret(event: ClaimedEvent) -> Fact:
        if event.id == event_ids[1]:
            return Verdict(state="failed", reason="KeyError: 'id'")
        return ignore(event)

    async with pooled(database.url("worker")) as pool:
        result = await Inbox(pool, worker="test").process_batch(interpret, limit=10)
    assert [each.state for each in result.outcomes] == ["ignored", "pending", "ignored"]
    assert [each.event_id for each in result.failures] == [event_ids[1]]
