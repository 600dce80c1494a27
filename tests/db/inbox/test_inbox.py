"""Claiming and applying: one worker claims an event, and it ends in one state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.facts import Verdict
from db.inbox.arrivals import store_arrivals
from db.inbox.claims import Inbox
from tests.db.books import APPLIED, DUPLICATE, SHORT, Books, Payment, gift
from tests.db.inbox.arrivals import arrival, ignore

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tests.conftest import Connect


async def test_events_are_claimed_in_order_and_up_to_the_limit(books: Books) -> None:
    event_ids = await books.receive(*(Payment().refund(1) for _ in range(3)))
    async with books.db.transaction():
        assert [event["id"] for event in await books.claim(limit=2)] == event_ids[:2]


async def test_an_event_that_another_worker_holds_is_passed_over(
    books: Books, connect: Connect
) -> None:
    first, second = await books.receive(Payment().refund(1), Payment().refund(1))
    other = Books(await connect())
    async with other.db.transaction(), books.db.transaction():
        assert [event["id"] for event in await other.claim(limit=1)] == [first]
        assert [event["id"] for event in await books.claim()] == [second]


async def test_an_event_is_not_claimed_before_its_next_attempt(books: Books) -> None:
    await books.receive(Payment().refund(1))
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = next_attempt_at + interval '1 s'"
    )
    assert await books.claim() == []
    books.wait(seconds=1)
    assert len(await books.claim()) == 1


async def test_a_worker_applies_a_batch_with_its_own_rights(
    books: Books, worker_pool: Pool
) -> None:
    buyer, payment = await books.profile(), Payment()
    (event_id,) = await books.receive(payment.bought(buyer))
    inbox = Inbox(worker_pool, worker="test")
    result = await inbox.process_batch(lambda _: payment.bought(buyer), limit=10)
    assert result.claimed == 1
    assert [(o.event_id, o.state) for o in result.outcomes] == [(event_id, "applied")]
    assert (await inbox.process_batch(ignore, limit=10)).claimed == 0
    assert await books.coins(buyer) == 100
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


async def test_interpretation_is_given_the_event_as_it_was_signed(
    books: Books, web_pool: Pool, worker_pool: Pool
) -> None:
    given: list[ClaimedEvent] = []

    def interpret(event: ClaimedEvent) -> Fact:
        given.append(event)
        return ignore(event)

    await store_arrivals(web_pool, [arrival("a", b'{"signed": "so" }')])
    await Inbox(worker_pool, worker="test").process_batch(interpret, limit=10)
    assert [(e.provider, e.provider_event_id, e.event_type) for e in given] == [
        ("stripe", "a", "test")
    ]
    assert given[0].payload == b'{"signed": "so" }'


@pytest.mark.parametrize("state", ["ignored", "rejected", "dead"])
async def test_a_verdict_is_the_events_end(books: Books, state: str) -> None:
    (event_id,) = await books.receive(Verdict(state=state, reason="so_it_is"))  # type: ignore[arg-type]
    await books.work()
    event = await books.event(event_id)
    assert (event["state"], event["reason"]) == (state, "so_it_is")
    assert event["processed_at"] == books.now


async def test_an_applied_event_put_back_as_pending_changes_nothing(books: Books) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    payment = Payment()
    facts = (gift(sender, streamer, 10), payment.bought(sender), payment.refund(40))
    assert await books.apply(*facts) == [APPLIED] * 3
    await books.db.execute(
        "update fleet.inbox_events set state = 'pending', next_attempt_at = received_at"
    )
    assert list((await books.work()).values()) == [APPLIED, DUPLICATE, APPLIED]
    assert (await books.coins(sender), await books.earnings(streamer)) == (60, 7)


# Tallies


async def test_events_are_counted_by_state_without_reading_the_inbox(
    books: Books, worker_pool: Pool
) -> None:
    sender, streamer = await books.profile(coins=1), await books.profile()
    assert await books.apply(gift(sender, streamer), gift(sender, streamer)) == [APPLIED, SHORT]
    await books.receive(Payment().refund(1))
    for _ in range(2):
        counted = await worker_pool.fetch("select * from fleet.event_counts()")
        assert [tuple(row) for row in counted] == [
            ("app", "applied", 1),
            ("app", "rejected", 1),
            ("stripe", "pending", 1),
        ]
        await worker_pool.execute("select fleet.fold_event_tallies()")
    assert await books.db.fetchval("select count(*) from fleet.event_tallies") == 3


async def test_a_claim_that_took_long_is_not_begun_anew_by_the_next(
    books: Books, connect: Connect
) -> None:
    """While somebody keeps an old snapshot, the index names all events applied since, for ever."""
    forgotten = await connect()
    async with forgotten.transaction(isolation="repeatable_read"):
        await forgotten.execute("select from fleet.inbox_events")
        await books.db.execute(
            "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
            " payload_sha256) select 'stripe', n, 'any', '', '' from generate_series(1, 3000) as n"
        )
        await books.db.execute(
            "update fleet.inbox_events"
            " set state = 'ignored', reason = 'any', processed_at = clock_timestamp()"
        )
        (event_id,) = await books.receive(Payment().refund(1))
        claimed, passed = await claim_counting(books)
        assert (claimed, passed > 3_000) == ([event_id], True)
        await books.db.execute("select fleet.note_slow_claim('1 s')")
        claimed, passed = await claim_counting(books)
        assert (claimed, passed < 1_500) == ([event_id], True)
        # What became pending far below is seen when the whole is looked at again.
        first = await books.db.fetchval(
            "update fleet.inbox_events set state = 'pending', reason = null, processed_at = null"
            " where id = (select min(id) from fleet.inbox_events) returning id"
        )
        assert (await claim_counting(books))[0] == [event_id]
        for until_s in (0, 600):
            await books.db.execute(
                "select set_config('coinfleet.claims_from', concat_ws(' ',"
                " split_part(current_setting('coinfleet.claims_from'), ' ', 1),"
                " extract(epoch from clock_timestamp()) + $1::int), false)",
                until_s,
            )
            assert (await claim_counting(books))[0] == [first, event_id]


async def claim_counting(books: Books) -> tuple[list[int], int]:
    """Claim, and let go again; return the events, and how many entries of the index were read."""
    read = "select pg_stat_get_xact_tuples_returned('fleet.inbox_events_pending_idx'::regclass)"
    async with books.db.transaction():
        before = await books.db.fetchval(read)
        claimed = [event["id"] for event in await books.claim()]
        return claimed, await books.db.fetchval(read) - before
