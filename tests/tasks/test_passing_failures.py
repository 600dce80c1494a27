"""A failure that passes counts as no attempt of an event: locks, full disks, a release half way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from db.release.session import RELEASE_LOCK
from tasks import pace
from tasks.payment_events import process_payment_events
from tasks.providers.app import App
from tests.db.books import APPLIED, PRICE_LIST, Books, gift
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tasks.context import Context
    from tests.conftest import Connect

DISK_FULL = "could not extend file: No space left on device"


@pytest_asyncio.fixture
async def books(db: Connection) -> AsyncIterator[Books]:
    """The books of the test; they must be right when it ends."""
    await db.execute(PRICE_LIST)
    yield (books := Books(db))
    assert await books.breaches() == {}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop try again without a pause."""
    monkeypatch.setattr(pace, "PAUSE_MAX_S", 0)


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[int, Fact]:
    """What the app's events mean, by event id."""
    facts: dict[int, Fact] = {}

    def interpret(_app: App, event: ClaimedEvent) -> Fact:
        return facts[event.id]

    monkeypatch.setattr(App, "interpret", interpret)
    return facts


@asynccontextmanager
async def failing(
    books: Books, sqlstate: str, message: str = DISK_FULL, *, sender: UUID | None = None
) -> AsyncIterator[None]:
    """Let gifts fail with this error while the block runs: all, or those of one sender."""
    which = f"for each row when (new.sender_id = '{sender}')" if sender else "for each statement"
    await books.db.execute(
        f"""
        create or replace function public.fail() returns trigger language plpgsql as
        $$ begin raise exception '{message}' using errcode = '{sqlstate}'; end $$;
        create trigger fails before insert on public.gifts {which} execute function public.fail();
        """
    )
    yield
    await books.db.execute("drop trigger fails on public.gifts")


async def gifts(books: Books, facts: dict[int, Fact], number: int) -> dict[int, UUID]:
    """Receive so many gifts, each of another sender; return the sender by event."""
    streamer = await books.profile()
    senders = await books.profiles(number, coins=5)
    given = [gift(sender, streamer) for sender in senders]
    event_ids = await books.receive(*given)
    facts.update(zip(event_ids, given, strict=True))
    return dict(zip(event_ids, senders, strict=True))


async def due_now(books: Books) -> None:
    """End the pause of every event."""
    await books.db.execute("update fleet.inbox_events set next_attempt_at = received_at")


async def try_six_times(books: Books, context: Context) -> list[Exception]:
    """Apply what is due, once more than an event may fail; return the errors that were raised."""
    stopped_by: list[Exception] = []
    with capture_logs():
        for _ in range(6):
            try:
                await process_payment_events(context)
            except (DatabaseUnavailable, asyncpg.InsufficientPrivilegeError) as error:
                stopped_by.append(error)
            await due_now(books)
    return stopped_by


async def attempts(books: Books) -> set[tuple[str, int]]:
    """Return the states of all open events with their attempts."""
    rows = await books.db.fetch(
        "select state, attempts from fleet.inbox_events"
        " where state not in ('applied', 'rejected', 'ignored')"
    )
    return {(row["state"], row["attempts"]) for row in rows}


@pytest.mark.parametrize("sqlstate", ["53100", "58030", "55P03", "40001"])
async def test_while_every_event_fails_no_attempt_counts_and_all_are_applied_later(
    books: Books, worker_pool: Pool, facts: dict[int, Fact], sqlstate: str
) -> None:
    events = await gifts(books, facts, 5)
    context = make_context(worker_pool)
    async with failing(books, sqlstate):
        for _ in range(4):
            await process_payment_events(context)
            assert await attempts(books) == {("pending", 0)}
            await due_now(books)
    assert await process_payment_events(context) == 5
    assert {await books.outcome(event_id) for event_id in events} == {APPLIED}
    assert await books.db.fetchval("select count(*) from fleet.set_aside_events") == 0


async def test_the_reported_error_is_over_once_a_batch_is_applied(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    """Otherwise `coinfleet status` would ask for a person although everything works again."""
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    async with failing(books, "53100"):
        await process_payment_events(context)
        trouble = context.meter.trouble()
        assert trouble is not None
        assert trouble[0] == f"53100: {DISK_FULL}"
    await due_now(books)
    # Another kind of work is not done by that.
    context.meter.note_trouble("looks", "no answer within 5 s")
    await process_payment_events(context)
    trouble = context.meter.trouble()
    assert trouble is not None
    assert trouble[0] == "no answer within 5 s"
    context.meter.forget_trouble("looks")
    assert context.meter.trouble() is None


async def test_the_reported_error_lasts_while_its_batch_waits(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    async with failing(books, "53100"):
        await process_payment_events(context)
        # Nothing is due now, but the cause is still there.
        assert await process_payment_events(context) == 0
        assert context.meter.trouble() is not None
    await due_now(books)
    await process_payment_events(context)


async def test_an_event_that_fails_alone_is_set_aside_while_others_are_applied(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    events = await gifts(books, facts, 8)
    culprit, sender = list(events.items())[3]
    context = make_context(worker_pool)
    async with failing(books, "55P03", sender=sender):
        await process_payment_events(context)
        for _ in range(6):
            await due_now(books)
            await process_payment_events(context)
        outcomes = {event_id: await books.outcome(event_id) for event_id in events}
        del outcomes[culprit]
        assert set(outcomes.values()) == {APPLIED}
        assert await attempts(books) == {("pending", 0)}
        # It fails alone; others are applied after it; then it has to wait.
        await gifts(books, facts, 2)
        await due_now(books)
        await process_payment_events(context)
        row = await books.db.fetchrow("select * from fleet.set_aside_events")
        assert row is not None
        assert (row["event_id"], row["sqlstate"]) == (culprit, "55P03")
        assert row["setbacks"] > 0
    await due_now(books)
    await process_payment_events(context)
    assert await books.outcome(culprit) == APPLIED


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [("57014", "canceling statement due to statement timeout"), ("23505", "duplicate key value")],
)
async def test_a_failure_of_the_event_itself_counts_as_an_attempt(
    books: Books, worker_pool: Pool, facts: dict[int, Fact], sqlstate: str, message: str
) -> None:
    await gifts(books, facts, 1)
    context = make_context(worker_pool)
    async with failing(books, sqlstate, message):
        for tried in range(1, 5):
            await process_payment_events(context)
            assert await attempts(books) == {("pending", tried)}
            await due_now(books)
        await process_payment_events(context)
    assert await attempts(books) == {("dead", 5)}


async def test_each_failure_is_logged_with_its_sqlstate_and_what_happens_next(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    await gifts(books, facts, 2)
    async with failing(books, "53100"):
        with capture_logs() as logs:
            await process_payment_events(make_context(worker_pool))
    lines = [line for line in logs if line["event"] == "batch_failed"]
    assert {line["sqlstate"] for line in lines} == {"53100"}
    assert {line["error"] for line in lines} == {f"53100: {DISK_FULL}"}
    assert [line["attempt"] for line in lines] == list(range(1, len(lines) + 1))
    then = [line["then"] for line in lines]
    assert then[:3] == ["tried again", "tried again", "tried by 1"]
    assert then[3:] == ["tried again in 1 s"] * 2


async def test_an_event_that_fails_alone_for_15_minutes_is_logged_as_an_error_once(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    (event_id,) = await gifts(books, facts, 1)
    context = make_context(worker_pool)
    async with failing(books, "53100"):
        await process_payment_events(context)
        await books.db.execute(
            "update fleet.set_aside_events set failing_since = failing_since - interval '15 min'"
        )
        with capture_logs() as logs:
            for _ in range(3):
                await due_now(books)
                await process_payment_events(context)
    alarms = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event_id"], line["sqlstate"]) for line in alarms] == [(event_id, "53100")]


BUGS = ["42883", "42P01", "42703", "42846", "42804", "42P13", "0A000"]


@pytest.mark.long_but_first
@pytest.mark.parametrize("sqlstate", BUGS)
async def test_an_error_during_a_release_counts_as_no_attempt(
    books: Books, worker_pool: Pool, connect: Connect, facts: dict[int, Fact], sqlstate: str
) -> None:
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    async with failing(books, sqlstate, "function fleet.next(jsonb) does not exist"):
        release = await connect()
        await release.execute("select pg_advisory_lock(hashtextextended($1, 0))", RELEASE_LOCK)
        errors = await try_six_times(books, context)
        assert sum(isinstance(error, DatabaseUnavailable) for error in errors) == 6
        assert await attempts(books) == {("pending", 0)}
    await release.close()
    assert await process_payment_events(context) == 2


async def test_an_error_on_the_schema_of_another_release_counts_as_no_attempt(
    books: Books, worker_pool: Pool, facts: dict[int, Fact]
) -> None:
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    rename = "update fleet.schema_objects set name = $2 where kind = 'function' and name = $1"
    await books.db.execute(rename, "fleet.apply_gifts", "fleet.gone")
    async with failing(books, "42883"):
        with pytest.raises(DatabaseUnavailable):
            await process_payment_events(context)
        assert await attempts(books) == {("pending", 0)}
        await books.db.execute(rename, "fleet.gone", "fleet.apply_gifts")
        # With the schema of this release it is a bug.
        await process_payment_events(context)
        assert await attempts(books) == {("pending", 1)}


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "function",
    ["post_ledger", "lock_profiles", "apply_gifts", "apply_claimed_events", "claim_events"],
)
async def test_a_dropped_function_counts_as_no_attempt(
    books: Books, worker_pool: Pool, facts: dict[int, Fact], function: str
) -> None:
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    made = await books.db.fetchval(
        "select pg_get_functiondef(p.oid) from pg_proc as p"
        " where p.pronamespace = 'fleet'::regnamespace and p.proname = $1",
        function,
    )
    await books.db.execute(f"drop function fleet.{function}")
    errors = await try_six_times(books, context)
    assert sum(isinstance(error, DatabaseUnavailable) for error in errors) == 6
    assert all(f"fleet.{function}" in str(error) for error in errors)
    assert await attempts(books) == {("pending", 0)}
    await books.db.execute(made)
    await books.db.execute(f"grant execute on function fleet.{function} to coinfleet_worker")
    assert await process_payment_events(context) == 2


# A mistake with a table, and how it is undone.
SLIPS = {
    "alter table public.profiles rename total_spent to spent": (
        "alter table public.profiles rename spent to total_spent"
    ),
    "alter table public.gift_types rename to kinds": (
        "alter table public.kinds rename to gift_types"
    ),
    "alter table fleet.payment_keys set schema public": (
        "alter table public.payment_keys set schema fleet"
    ),
    "alter table public.ledger_entries rename reason to why": (
        "alter table public.ledger_entries rename why to reason"
    ),
}


@pytest.mark.long_but_first
@pytest.mark.parametrize("slip", SLIPS)
async def test_a_table_changed_by_mistake_counts_as_no_attempt(
    books: Books, worker_pool: Pool, facts: dict[int, Fact], slip: str
) -> None:
    """Without that, paid events were dead after 16 s and stayed dead after the table was right."""
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    await books.db.execute(slip)
    errors = await try_six_times(books, context)
    assert sum(isinstance(error, DatabaseUnavailable) for error in errors) == 6
    assert await attempts(books) == {("pending", 0)}
    await books.db.execute(SLIPS[slip])
    assert await process_payment_events(context) == 2


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "function",
    [
        *("claim_events", "note_batch_start", "note_batch_ahead", "forget_batch_start"),
        *("apply_claimed_events", "event_failures", "wake_waiting_events", "fail_event"),
    ],
)
async def test_a_revoked_right_counts_as_no_attempt(
    books: Books, worker_pool: Pool, facts: dict[int, Fact], function: str
) -> None:
    await gifts(books, facts, 2)
    context = make_context(worker_pool)
    name = await books.db.fetchval(
        "select p.oid::regprocedure::text from pg_proc as p"
        " where p.pronamespace = 'fleet'::regnamespace and p.proname = $1"
        " and has_function_privilege('coinfleet_worker', p.oid, 'execute')",
        function,
    )
    await books.db.execute(f"revoke execute on function {name} from coinfleet_worker")
    # A batch may succeed without one of these functions. If it fails, the cause passes.
    await try_six_times(books, context)
    assert await attempts(books) <= {("pending", 0)}
    await books.db.execute(f"grant execute on function {name} to coinfleet_worker")
    await process_payment_events(context)
    assert await attempts(books) == set()
    assert (
        await books.db.fetchval("select array_agg(state || attempts) from fleet.inbox_events")
        == ["applied1"] * 2
    )
