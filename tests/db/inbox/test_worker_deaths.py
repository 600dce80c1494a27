"""Workers that die during a batch: its events are applied, except one that kills workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.db.books import APPLIED, Books, Outcome, Payment, gift
from tests.db.races import kill_session

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect


async def begin(books: Books, worker: Connection) -> list[int]:
    """Claim as a worker does, and note the start in a commit of its own."""
    await worker.execute("begin")
    rows = await worker.fetch("select id, xact_id from fleet.claim_events(500, $1)", books.now)
    event_ids = [row["id"] for row in rows]
    if event_ids:
        await books.db.execute(
            "select fleet.note_batch_start($1::text::xid8, $2, 'test')",
            str(rows[0]["xact_id"]),
            event_ids,
        )
    return event_ids


async def die_holding(books: Books, connect: Connect) -> list[int]:
    """Claim and die; return what was claimed."""
    worker = await connect("worker")
    event_ids = await begin(books, worker)
    await kill_session(books.db, worker)
    return event_ids


async def test_a_dead_workers_events_are_claimed_again_one_by_one(
    books: Books, connect: Connect
) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(3)))
    assert await die_holding(books, connect) == event_ids
    for event_id in event_ids:
        assert list(await books.work()) == [event_id]
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


async def test_an_event_that_kills_three_workers_is_dead_and_the_others_are_applied(
    books: Books, connect: Connect
) -> None:
    sender, streamer = await books.profile(coins=3), await books.profile()
    killer, *others = await books.receive(*(gift(sender, streamer) for _ in range(4)))
    assert await die_holding(books, connect) == [killer, *others]
    assert await die_holding(books, connect) == [killer]
    # It pauses after the second death, and the others go first.
    for event_id in others:
        assert await books.work() == {event_id: APPLIED}
    assert await books.work() == {}
    books.wait(seconds=5)
    assert await die_holding(books, connect) == [killer]
    assert await books.work() == {}
    assert await books.outcome(killer) == Outcome("dead", "killed_its_worker")
    assert await books.coins(sender) == 0


async def test_a_worker_at_work_is_not_taken_for_dead(books: Books, connect: Connect) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    worker = await connect("worker")
    assert await begin(books, worker) == [event_id]
    assert await books.work() == {}
    assert (await books.event(event_id))["starts"] == 0
    await worker.execute("rollback")


async def test_a_worker_that_was_taken_for_dead_takes_its_events_starts_back(
    books: Books, connect: Connect
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute("update fleet.inbox_events set starts = 2")
    worker = await connect("worker")
    await begin(books, worker)
    xact_id = await books.db.fetchval("select xact_id::text from fleet.batch_starts")
    await worker.execute("rollback")
    assert await books.work() == {}
    assert await books.outcome(event_id) == Outcome("dead", "killed_its_worker")
    await worker.execute("select fleet.forget_batch_start($1::text::xid8, $2)", xact_id, [event_id])
    event = await books.event(event_id)
    assert (event["state"], event["starts"], event["processed_at"]) == ("pending", 2, None)


async def test_notes_of_starts_that_came_with_a_restore_stop_no_event(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(
        "insert into fleet.batch_starts (xact_id, event_ids, worker)"
        " values ('99999999999', $1, 'x')",
        [event_id],
    )
    assert list(await books.work()) == [event_id]


# With one session the start is noted ahead of the claim


async def note_ahead(books: Books, worker: Connection, limit: int = 500) -> tuple[str, list[int]]:
    """Note what is to be claimed; return the note and its events."""
    row = await worker.fetchrow(
        "select xact_id::text, event_ids from fleet.note_batch_ahead($1, 'test', $2)",
        limit,
        books.now,
    )
    assert row is not None
    return row["xact_id"], row["event_ids"]


async def claim_noted(worker: Connection, xact_id: str) -> list[int]:
    """Claim what was noted, in a transaction that stays open."""
    await worker.execute("begin")
    rows = await worker.fetch("select id from fleet.claim_noted_events($1::text::xid8)", xact_id)
    return [row["id"] for row in rows]


async def test_a_batch_noted_ahead_is_claimed_by_its_worker(books: Books, connect: Connect) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(3)))
    worker = await connect("worker")
    xact_id, noted = await note_ahead(books, worker)
    assert noted == event_ids
    assert await claim_noted(worker, xact_id) == event_ids
    # However long it takes.
    books.wait(minutes=1)
    assert await books.work() == {}
    assert (await books.event(event_ids[0]))["starts"] == 0


async def test_events_that_others_claimed_meanwhile_are_left_to_them(
    books: Books, connect: Connect
) -> None:
    first, second = await books.receive(Payment().refund(1), Payment().refund(1))
    worker = await connect("worker")
    xact_id, _ = await note_ahead(books, worker)
    assert list(await books.work(limit=1)) == [first]
    assert await claim_noted(worker, xact_id) == [second]


async def test_the_death_of_a_worker_with_a_batch_noted_ahead_is_noticed(
    books: Books, connect: Connect
) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(2)))
    worker = await connect("worker")
    xact_id, _ = await note_ahead(books, worker)
    await claim_noted(worker, xact_id)
    await kill_session(books.db, worker)
    for event_id in event_ids:
        assert list(await books.work()) == [event_id]
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


async def test_the_death_of_a_worker_before_its_claim_is_noticed_after_a_while(
    books: Books, connect: Connect
) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(2)))
    worker = await connect("worker")
    await note_ahead(books, worker)
    await kill_session(books.db, worker)
    books.wait(seconds=11)
    for event_id in event_ids:
        assert list(await books.work()) == [event_id]


async def test_an_event_that_kills_three_workers_with_one_session_each_is_dead(
    books: Books, connect: Connect
) -> None:
    (killer,) = await books.receive(Payment().refund(1))
    for _ in range(3):
        worker = await connect("worker")
        xact_id, noted = await note_ahead(books, worker)
        assert noted == [killer]
        await claim_noted(worker, xact_id)
        await kill_session(books.db, worker)
        # The next worker that looks finds the note, and lets the event pause.
        await books.db.execute("select fleet.recover_batch_starts($1)", books.now)
        books.wait(seconds=10)
    assert await books.work() == {}
    assert await books.outcome(killer) == Outcome("dead", "killed_its_worker")


async def test_between_its_note_and_its_claim_a_worker_is_not_taken_for_dead(
    books: Books, connect: Connect
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    worker = await connect("worker")
    await note_ahead(books, worker)
    books.wait(seconds=9)
    assert list(await books.work()) == [event_id]
    assert (await books.event(event_id))["starts"] == 0


async def test_a_note_by_a_clock_that_was_ahead_expires_as_others_do(
    books: Books, connect: Connect
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    worker = await connect("worker")
    await note_ahead(books, worker)
    await kill_session(books.db, worker)
    await books.db.execute(
        "update fleet.batch_starts set noted_at = noted_at + interval '20 minutes'"
    )
    assert list(await books.work()) == [event_id]
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0
