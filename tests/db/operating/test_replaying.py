"""Events that an operator has processed again: which are left, what is noted, what a trial says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest

from db.facts import Fact
from db.operating.matching import Match
from db.operating.replaying import Batch, Ending, Moved, Request, replay, try_replay
from tests.db.books import APPLIED, Books, Outcome, Payment, gift

if TYPE_CHECKING:
    from db.inbox.batches import ClaimedEvent
    from tests.conftest import Connect

REQUEST = Request(typed_by="ann@desk", reason="the cause is gone", filter={"states": ["dead"]})


def interpret(event: ClaimedEvent) -> Fact:
    """In these tests a payload is the fact itself."""
    fact: Fact = msgspec.json.decode(event.payload, type=Fact)
    return fact


async def seen(books: Books, *event_ids: int) -> list[Match]:
    """The events as they are now."""
    events = [await books.event(event_id) for event_id in event_ids]
    return [Match(each["id"], each["state"], each["payload"] is not None) for each in events]


async def again(books: Books, *event_ids: int) -> Batch:
    """Have events processed again, and note that it is later now."""
    batch = await replay(books.db, await seen(books, *event_ids), REQUEST)
    books.now = await books.db.fetchval("select clock_timestamp()")
    return batch


async def test_a_dead_event_is_applied_when_it_is_replayed(books: Books) -> None:
    buyer = await books.profile()
    [event_id] = await books.receive(Payment().bought(buyer))
    for _ in range(5):
        await books.db.execute("select fleet.fail_event($1, 'XX000: a bug')", event_id)
    assert await books.outcome(event_id) == Outcome("dead", "failed")
    await books.db.execute("update fleet.inbox_events set starts = 3 where id = $1", event_id)
    batch = await again(books, event_id)
    assert batch.endings == [
        Ending(event_id=event_id, before="dead", state="pending", reason_before="failed")
    ]
    event = await books.event(event_id)
    # With starts left it would be claimed alone, as one that kills its worker.
    assert (event["attempts"], event["starts"], event["last_error"]) == (0, 0, None)
    assert await books.work() == {event_id: APPLIED}
    assert await books.coins(buyer) == 100


async def test_an_applied_event_that_is_replayed_moves_nothing(books: Books) -> None:
    buyer = await books.profile()
    [event_id] = await books.receive(Payment().bought(buyer))
    await books.work()
    await again(books, event_id)
    assert (await books.work())[event_id].state == "applied"
    assert await books.entries(buyer) == [("purchase", 100)]


async def test_a_replay_is_noted_with_its_events_and_never_changes(books: Books) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(2)))
    await books.work()
    await again(books, *event_ids)
    [note] = await books.db.fetch("select * from fleet.operator_actions")
    assert (note["action"], note["typed_by"], note["reason"]) == (
        "replay",
        "ann@desk",
        "the cause is gone",
    )
    assert (note["event_ids"], note["detail"]) == (event_ids, '{"states": ["dead"]}')
    for change in (
        "update fleet.operator_actions set reason = ''",
        "delete from fleet.operator_actions",
        "truncate fleet.operator_actions",
    ):
        with pytest.raises(asyncpg.PostgresError) as refused:
            async with books.db.transaction():
                await books.db.execute(change)
        assert refused.value.sqlstate == "CF010"


async def test_an_event_without_its_payload_is_left(books: Books) -> None:
    [event_id] = await books.receive(Payment().refund(1))
    await books.work()
    await books.db.execute("update fleet.inbox_events set payload = null where id = $1", event_id)
    batch = await again(books, event_id)
    assert (batch.endings, batch.skipped) == ([], {event_id: "no_payload"})
    assert await books.db.fetchval("select count(*) from fleet.operator_actions") == 0


async def test_an_event_that_changed_meanwhile_is_left(books: Books) -> None:
    [event_id] = await books.receive(Payment().refund(1))
    batch = await replay(books.db, [Match(event_id, "held", has_payload=True)], REQUEST)
    assert batch.skipped == {event_id: "changed"}


async def test_a_purchase_that_a_person_has_decided_is_left(books: Books) -> None:
    payment = Payment()
    [event_id] = await books.receive(payment.worth(await books.profile(), 30_000))
    await books.work()
    assert await books.outcome(event_id) == Outcome("held", "needs_approval")
    decided = "update public.coin_purchases set decision = $1"
    async with books.db.transaction():
        await books.db.execute(decided, "rejected")
        batch = await replay(books.db, await seen(books, event_id), REQUEST)
        await books.db.execute(decided, None)
    assert batch.skipped == {event_id: "decided"}


@pytest.mark.commits
async def test_an_event_that_a_worker_has_in_hand_is_left(books: Books, connect: Connect) -> None:
    [event_id] = await books.receive(Payment().refund(1))
    worker = await connect()
    async with worker.transaction():
        await worker.execute("select 1 from fleet.inbox_events for no key update")
        batch = await again(books, event_id)
    assert batch.skipped == {event_id: "in_hand"}


async def test_more_than_a_batch_is_refused(books: Books) -> None:
    many = [Match(no, "dead", has_payload=True) for no in range(501)]
    with pytest.raises(asyncpg.InvalidParameterValueError, match="at most 500"):
        await replay(books.db, many, REQUEST)


async def test_an_event_that_was_set_aside_is_claimed_at_once(books: Books) -> None:
    [event_id] = await books.receive(Payment().bought(await books.profile()))
    await books.db.execute(
        "select fleet.set_event_aside($1, '55P03', 'a lock', true, $2)", event_id, books.now
    )
    assert await books.work() == {}
    await again(books, event_id)
    assert await books.db.fetch("select from fleet.set_aside_events") == []
    assert await books.work() == {event_id: APPLIED}


@pytest.mark.commits
async def test_a_trial_says_what_would_change_and_changes_nothing(books: Books) -> None:
    sender, recipient = await books.profiles(2)
    short, unknown = await books.receive(gift(sender, recipient, 10), Payment().refund(5))
    await books.work()
    books.wait(minutes=1)
    await books.db.execute("update fleet.inbox_events set next_attempt_at = $1", books.now)
    await books.work()
    assert (await books.outcome(short)).state == "rejected"
    await books.adjust(sender, 15)
    before = await books.db.fetch("select * from fleet.inbox_events order by id")

    batch = await try_replay(books.db, await seen(books, short, unknown), REQUEST, interpret)

    assert [
        (each.before, each.reason_before, each.state, each.reason) for each in batch.endings
    ] == [
        ("rejected", "insufficient_coins", "applied", None),
        # By the database's clock it came long ago.
        ("waiting", "no_purchase_yet", "rejected", "no_purchase"),
    ]
    assert batch.moved == [Moved("coins", 0, 0, 10, 1), Moved("earnings", 7, 1, 0, 0)]
    assert await books.db.fetch("select * from fleet.inbox_events order by id") == before
    assert await books.coins(sender) == 15
    assert await books.db.fetchval("select count(*) from fleet.operator_actions") == 0


async def test_a_trial_says_which_event_would_fail(books: Books) -> None:
    [event_id] = await books.receive(Payment().bought(await books.profile()))
    await books.db.execute(
        "create function public.broken() returns trigger language plpgsql as"
        " $$ begin raise exception 'no such luck'; end $$;"
        "create trigger broken before insert on public.coin_purchases"
        " execute function public.broken()"
    )
    batch = await try_replay(books.db, await seen(books, event_id), REQUEST, interpret)
    [ending] = batch.endings
    assert (ending.state, ending.error) == ("pending", "P0001: no such luck")
    await books.db.execute(
        "drop trigger broken on public.coin_purchases; drop function public.broken()"
    )
