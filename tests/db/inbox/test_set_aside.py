"""Events that fail alone for a passing cause wait, with growing pauses, and are tried alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.db.books import APPLIED, Books, Outcome, Payment, gift

if TYPE_CHECKING:
    from tests.conftest import Connect

MINUTES = 60.0


class Setback(NamedTuple):
    """The answer to setting an event aside."""

    setbacks: int
    pause_s: float
    failing_s: float


async def set_aside(
    books: Books, event_id: int, *, others_succeed: bool = True, sqlstate: str = "55P03"
) -> Setback | None:
    """Set an event aside that failed alone."""
    row = await books.db.fetchrow(
        "select * from fleet.set_event_aside($1, $2, $3, $4, $5)",
        event_id,
        sqlstate,
        f"{sqlstate}: something was in its way",
        others_succeed,
        books.now,
    )
    return Setback(*row) if row else None


async def test_the_pause_of_an_event_doubles_to_five_minutes_and_no_attempt_is_counted(
    books: Books,
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    pauses = []
    for _ in range(30):
        setback = await set_aside(books, event_id)
        assert setback is not None
        pauses.append(setback.pause_s)
        books.wait(seconds=setback.pause_s)
    assert pauses == [5, 10, 20, 40, 80, 160, *[300] * 24]
    event = await books.event(event_id)
    assert (event["state"], event["attempts"], event["starts"]) == ("pending", 0, 0)
    assert event["last_error"] == "55P03: something was in its way"


async def test_while_nothing_succeeds_the_pause_does_not_grow(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    for _ in range(10):
        setback = await set_aside(books, event_id, others_succeed=False)
        assert setback is not None
        assert (setback.setbacks, setback.pause_s) == (0, 1)
        books.wait(seconds=1)


async def test_the_answer_says_how_long_an_event_has_been_failing(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await set_aside(books, event_id, others_succeed=False)
    books.wait(minutes=16)
    setback = await set_aside(books, event_id)
    assert setback is not None
    assert setback.failing_s == 16 * MINUTES


async def test_a_time_of_a_clock_that_was_ahead_is_not_kept(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await set_aside(books, event_id)
    books.wait(days=-365)
    setback = await set_aside(books, event_id)
    assert setback is not None
    assert setback.failing_s == 0
    books.wait(minutes=16)
    setback = await set_aside(books, event_id)
    assert setback is not None
    assert setback.failing_s == 16 * MINUTES


async def test_an_event_set_aside_is_claimed_alone_and_the_others_without_it(books: Books) -> None:
    first, aside, last = await books.receive(*(Payment().refund(1) for _ in range(3)))
    await set_aside(books, aside)
    assert list(await books.work()) == [first, last]
    assert await books.work() == {}
    books.wait(seconds=5)
    another = await books.receive(Payment().refund(1))
    assert list(await books.work()) == [aside]
    assert list(await books.work()) == another


async def test_while_nothing_succeeds_an_event_set_aside_is_claimed_with_the_others(
    books: Books,
) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(3)))
    await set_aside(books, event_ids[1], others_succeed=False)
    books.wait(seconds=1)
    assert list(await books.work()) == event_ids


async def test_one_event_is_tried_at_a_time_and_the_others_go_on_meanwhile(
    books: Books, connect: Connect
) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(4)))
    for event_id in event_ids[:2]:
        await set_aside(books, event_id)
    books.wait(seconds=5)
    other = Books(await connect())
    other.now = books.now
    async with other.db.transaction():
        assert len(await other.claim()) == 1
        assert await other.db.fetchval("show lock_timeout") == "1s"
        assert list(await books.work()) == event_ids[2:]
    assert len(await books.work()) == 1
    assert await books.db.fetchval("show lock_timeout") != "1s"


async def test_once_an_event_is_applied_its_setbacks_are_forgotten(books: Books) -> None:
    buyer = await books.profile()
    (event_id,) = await books.receive(Payment().bought(buyer))
    await set_aside(books, event_id)
    books.wait(seconds=5)
    assert await books.work() == {event_id: APPLIED}
    assert await books.db.fetchval("select count(*) from fleet.set_aside_events") == 0


async def test_an_event_that_another_worker_holds_or_applied_is_not_set_aside(
    books: Books, connect: Connect
) -> None:
    held, done = await books.receive(Payment().refund(1), Payment().refund(1))
    await books.db.execute(
        "update fleet.inbox_events set state = 'applied', processed_at = now() where id = $1", done
    )
    other = await connect()
    async with other.transaction():
        await other.execute("select from fleet.inbox_events where id = $1 for update", held)
        assert await set_aside(books, held) is None
    assert await set_aside(books, done) is None
    assert await books.db.fetchval("select count(*) from fleet.set_aside_events") == 0


async def test_with_one_session_an_event_set_aside_is_noted_and_claimed_alone_too(
    books: Books, connect: Connect
) -> None:
    aside, _ = await books.receive(Payment().refund(1), Payment().refund(1))
    await set_aside(books, aside)
    books.wait(seconds=5)
    worker = await connect("worker")
    row = await worker.fetchrow("select * from fleet.note_batch_ahead(500, 'test', $1)", books.now)
    assert row is not None
    assert row["event_ids"] == [aside]
    async with worker.transaction():
        await worker.execute("select from fleet.claim_noted_events($1)", row["xact_id"])
        assert await worker.fetchval("show lock_timeout") == "1s"


async def test_events_that_fail_for_long_are_listed_with_their_sqlstate(books: Books) -> None:
    long, short = await books.receive(Payment().refund(1), Payment().refund(1))
    await set_aside(books, long, sqlstate="53100")
    await set_aside(books, short)
    await books.db.execute(
        "update fleet.set_aside_events set failing_since = clock_timestamp()"
        " - interval '1 min' * case when event_id = $1 then 16 else 14 end",
        long,
    )
    rows = await books.db.fetch("select * from fleet.passing_failures('15 minutes')")
    assert [(row["event_id"], row["sqlstate"]) for row in rows] == [(long, "53100")]


# What SQL raises inside a batch


async def fails_with(books: Books, sqlstate: str, message: str = "in its way") -> None:
    """Make each gift fail as a full disk or a lock would."""
    await books.db.execute(
        f"""
        create or replace function public.fail() returns trigger language plpgsql as
        $$ begin raise exception '{message}' using errcode = '{sqlstate}'; end $$;
        create or replace trigger fails before insert on public.gifts
        for each statement execute function public.fail();
        """
    )


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("53100", "could not extend file: No space left on device"),
        ("58030", "could not write to file"),
        ("58P01", "could not open file"),
        ("55P03", "canceling statement due to lock timeout"),
        ("40P01", "deadlock detected"),
        ("57014", "canceling statement due to statement timeout"),
        ("25006", "cannot execute INSERT in a read-only transaction"),
        ("08006", "connection to the foreign server was lost"),
        ("XX000", "(EDBHANDLEREXITED) connection to database closed"),
    ],
)
async def test_a_passing_failure_ends_the_batch_and_is_no_outcome_of_an_event(
    books: Books, sqlstate: str, message: str
) -> None:
    sender, streamer = await books.profile(coins=5), await books.profile()
    event_ids = await books.receive(gift(sender, streamer), gift(sender, streamer))
    await fails_with(books, sqlstate, message)
    with pytest.raises(Exception, match=message[:10].replace("(", r"\(")):
        await books.work()
    await books.db.execute("drop trigger fails on public.gifts")
    assert {(await books.event(event_id))["attempts"] for event_id in event_ids} == {0}
    assert await books.work() == dict.fromkeys(event_ids, APPLIED)


@pytest.mark.parametrize("sqlstate", ["23505", "22003", "42883", "P0001", "XX000"])
async def test_any_other_failure_is_its_events_own(books: Books, sqlstate: str) -> None:
    sender, streamer = await books.profile(coins=5), await books.profile()
    (event_id,) = await books.receive(gift(sender, streamer))
    await fails_with(books, sqlstate)
    assert await books.work() == {event_id: Outcome("pending")}
    assert (await books.event(event_id))["attempts"] == 1
    await books.db.execute("drop trigger fails on public.gifts")
