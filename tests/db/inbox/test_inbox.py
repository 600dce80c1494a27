"""The inbox: each event is stored once, claimed by one worker, and ends in one state."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from db.errors import DatabaseUnavailable
from db.facts import Verdict
from db.inbox import Arrival, BatchFailed, EventId, Inbox, Stored, store_arrivals
from tests.db.books import APPLIED, DUPLICATE, SHORT, Books, Outcome, Payment, gift

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Pool
    from db.facts import Fact
    from db.inbox import ClaimedEvent
    from tests.conftest import Connect


def arrival(event_id: str, body: bytes = b"{}", provider: str = "stripe") -> Arrival:
    """An event as a receiver hands it in."""
    return Arrival(
        provider=provider,
        provider_event_id=event_id,
        event_type="test",
        payload=body,
        payload_sha256=sha256(body).digest(),
    )


def ignore(_event: ClaimedEvent) -> Fact:
    """Interpret any event as nothing to do with us."""
    return Verdict(state="ignored", reason="unknown_type")


async def ids(books: Books) -> list[str]:
    """The stored events' ids, in the order of their numbers."""
    rows = await books.db.fetch("select provider_event_id from fleet.inbox_events order by id")
    return [row["provider_event_id"] for row in rows]


# Storing


async def test_new_events_are_stored_in_the_order_they_came(books: Books, web_pool: Pool) -> None:
    arrivals = [arrival("b"), arrival("a"), arrival("c", provider="app")]
    assert await store_arrivals(web_pool, arrivals) == [Stored.STORED] * 3
    assert await ids(books) == ["b", "a", "c"]


async def test_an_event_that_comes_again_is_seen_and_stored_once(
    books: Books, web_pool: Pool
) -> None:
    await store_arrivals(web_pool, [arrival("a")])
    found = await store_arrivals(web_pool, [arrival("b"), arrival("a"), arrival("b")])
    assert found == [Stored.STORED, Stored.SEEN, Stored.SEEN]
    assert await ids(books) == ["a", "b"]


async def test_another_body_under_a_known_id_is_a_conflict_and_changes_nothing(
    books: Books, web_pool: Pool
) -> None:
    await store_arrivals(web_pool, [arrival("a", b"first")])
    found = await store_arrivals(web_pool, [arrival("a", b"second"), arrival("a", b"first")])
    assert found == [Stored.CONFLICT, Stored.SEEN]
    assert await books.db.fetchval("select payload from fleet.inbox_events") == b"first"


async def test_two_bodies_under_one_new_id_in_a_batch_leave_the_first(
    books: Books, web_pool: Pool
) -> None:
    found = await store_arrivals(web_pool, [arrival("a", b"first"), arrival("a", b"second")])
    assert found == [Stored.STORED, Stored.CONFLICT]
    assert await books.db.fetchval("select payload from fleet.inbox_events") == b"first"


async def test_an_id_belongs_to_its_provider(books: Books, web_pool: Pool) -> None:
    arrivals = [arrival("a"), arrival("a", provider="app")]
    assert await store_arrivals(web_pool, arrivals) == [Stored.STORED] * 2


async def test_an_event_that_is_refused_on_arrival_is_finished(
    books: Books, web_pool: Pool
) -> None:
    refused = Arrival("stripe", "a", "unreadable", b"?", b"hash", "rejected", "malformed")
    await store_arrivals(web_pool, [refused])
    event = await books.event(1)
    assert (event["state"], event["reason"]) == ("rejected", "malformed")
    assert event["processed_at"] is not None
    assert await books.claim() == []


def malformed(event_id: str, body: bytes, **changes: object) -> Arrival:
    """A body that can't be read, as a receiver hands it in."""
    refused = replace(arrival(event_id, body), event_type="unreadable")
    return replace(refused, **({"state": "rejected", "reason": "malformed"} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("rejected", None),
        ("rejected", "not_the_buyer"),
        ("rejected", "malformed "),
        ("pending", "malformed"),
        ("pending", ""),
        *((state, None) for state in ("applied", "ignored", "dead", "held", "waiting")),
        *((state, "malformed") for state in ("applied", "ignored", "dead", "held", "waiting")),
        (None, None),
        (None, "malformed"),
    ],
)
async def test_a_receiver_stores_no_event_in_a_state_that_swallows_it(
    books: Books, web_pool: Pool, state: str | None, reason: str | None
) -> None:
    swallowed = malformed("evt_paid", b"{}", state=state, reason=reason)
    with pytest.raises(asyncpg.PostgresError):
        await store_arrivals(web_pool, [arrival("a"), swallowed])
    assert await ids(books) == []


async def test_a_body_that_can_not_be_read_is_kept_under_its_own_hash_whatever_is_said(
    books: Books, web_pool: Pool
) -> None:
    bodies = {b"?": "evt_paid", b"!": sha256(b"?").hexdigest(), b"": "x" * 300}
    batch = [malformed(told, body) for body, told in bodies.items()]
    assert await store_arrivals(web_pool, batch) == [Stored.STORED] * 3
    assert await ids(books) == [sha256(body).hexdigest() for body in bodies]
    assert await store_arrivals(web_pool, [*batch, *batch]) == [Stored.SEEN] * 6
    assert await store_arrivals(web_pool, [arrival("evt_paid")]) == [Stored.STORED]


async def test_one_row_that_can_not_be_stored_keeps_the_others_out_for_a_second_try(
    books: Books, web_pool: Pool
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await store_arrivals(web_pool, [arrival("a"), arrival("x" * 256)])
    assert await ids(books) == []


@pytest.mark.parametrize(
    ("slip", "undo"),
    [
        (
            "revoke usage on schema fleet from coinfleet_web",
            "grant usage on schema fleet to coinfleet_web",
        ),
        (
            "alter table fleet.inbox_events rename event_type to kind",
            "alter table fleet.inbox_events rename kind to event_type",
        ),
        ("alter table fleet.inbox_events drop constraint one_row_an_event cascade", None),
    ],
)
async def test_what_the_schema_lacks_is_no_arrivals_fault(
    books: Books, web_pool: Pool, slip: str, undo: str | None
) -> None:
    """Else each arrival is tried alone, and logged alone, as long as it lasts."""
    await books.db.execute(slip)
    with pytest.raises(DatabaseUnavailable):
        await store_arrivals(web_pool, [arrival("a"), arrival("b")])
    if undo is not None:
        await books.db.execute(undo)
        assert await store_arrivals(web_pool, [arrival("a")]) == [Stored.STORED]


async def test_a_store_that_is_away_says_so(web_pool: Pool) -> None:
    await web_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await store_arrivals(web_pool, [arrival("a")])


# Claiming and applying


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


# Failing


async def test_an_event_that_can_not_be_read_is_tried_five_times_then_dead(books: Books) -> None:
    (event_id,) = await books.receive(Verdict(state="failed", reason="KeyError: 'id'"))
    for tried in range(1, 5):
        assert await books.work() == {event_id: Outcome("pending")}
        event = await books.event(event_id)
        assert (event["attempts"], event["last_error"]) == (tried, "KeyError: 'id'")
        assert event["processed_at"] is None
        assert await books.work() == {}
        books.wait(seconds=2 ** (tried - 1))
    assert await books.work() == {event_id: Outcome("dead", "failed")}


@asynccontextmanager
async def poisoned(books: Books, connect: Connect, column: str, value: str) -> AsyncIterator[None]:
    """Make one gift fail for a reason that nobody foresaw, and count the tries to write gifts."""
    await books.db.execute(
        f"""
        create sequence public.tries;
        create function public.count() returns trigger language plpgsql security definer as
        $$ begin perform nextval('public.tries'); return null; end $$;
        create function public.fail() returns trigger language plpgsql as
        $$ begin raise exception 'unforeseen'; end $$;
        create trigger counted before insert on public.gifts
        for each statement execute function public.count();
        create trigger fails before insert on public.gifts
        for each row when (new.{column}::text = '{value}') execute function public.fail();
        """
    )
    yield
    await books.db.execute("drop trigger fails on public.gifts")


async def test_one_poison_event_in_500_parks_alone_and_costs_few_tries(
    books: Books, connect: Connect
) -> None:
    sender, streamer = await books.profile(coins=500), await books.profile()
    event_ids = await books.receive(*(gift(sender, streamer) for _ in range(500)))
    poison = event_ids[333]
    name = (await books.event(poison))["provider_event_id"]
    async with poisoned(books, connect, "provider_event_id", name):
        outcomes = await books.work()
        assert {event_id for event_id, o in outcomes.items() if o != APPLIED} == {poison}
        assert outcomes[poison] == Outcome("pending")
        assert "unforeseen" in (await books.event(poison))["last_error"]
        assert await books.coins(sender) == 1
        assert await books.db.fetchval("select last_value from public.tries") <= 21
        for _ in range(4):
            books.wait(minutes=1)
            outcomes = await books.work()
        assert outcomes == {poison: Outcome("dead", "failed")}


@pytest.mark.parametrize(
    "half", [{"profile_id": None, "buyer_unreadable": True}, {"sku": None}], ids=["held", "waiting"]
)
async def test_beside_a_poison_event_half_a_payment_is_a_duplicate_of_the_whole(
    books: Books, half: dict[str, Any]
) -> None:
    buyer, payment = await books.profile(), Payment()
    poison = Payment().bought(await books.profile(coins=2**63 - 1))
    incomplete, _, _ = await books.receive(
        payment.bought(buyer, **half), poison, payment.bought(buyer)
    )
    await books.work()
    assert await books.coins(buyer) == 100
    assert await books.outcome(incomplete) == DUPLICATE


async def test_an_event_that_another_worker_applied_can_not_be_failed_any_more(
    books: Books,
) -> None:
    buyer = await books.profile()
    (event_id,) = await books.receive(Payment().bought(buyer))
    await books.work()
    fail = "select fleet.fail_event($1, 'late')"
    assert await books.db.fetchval(fail, event_id) is None
    assert await books.outcome(event_id) == APPLIED


async def test_a_failed_event_pauses_then_dies(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    fail = "select fleet.fail_event($1, 'why', $2)"
    states = [await books.db.fetchval(fail, event_id, books.now) for _ in range(5)]
    assert states == ["pending"] * 4 + ["dead"]
    assert (await books.event(event_id))["last_error"] == "why"


async def test_an_event_that_waited_has_its_five_tries_left(books: Books) -> None:
    (event_id,) = await books.receive(Payment().bought(await books.profile(), sku=None))
    assert await books.work() == {event_id: Outcome("waiting", "incomplete_metadata")}
    books.wait(minutes=15)
    assert await books.wake() == 1
    fail = "select fleet.fail_event($1, 'why', $2)"
    states = [await books.db.fetchval(fail, event_id, books.now) for _ in range(5)]
    assert states == ["pending"] * 4 + ["dead"]


async def test_a_batch_that_can_not_be_applied_is_left_as_it_was(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")
    buyer = await books.profile()
    with pytest.raises(BatchFailed) as caught:
        # No interpreter lets such an address through; PostgreSQL can't even read the fact.
        await inbox.process_batch(
            lambda _: Payment().bought(buyer, ip_address="300.1.1.1"), limit=10
        )
    assert list(caught.value.event_ids) == [EventId(event_id)]
    assert not caught.value.transient
    event = await books.event(event_id)
    assert (event["state"], event["attempts"], event["starts"]) == ("pending", 0, 0)


async def test_a_batch_that_failed_under_a_living_worker_says_nothing_against_its_events(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")

    def fail(_event: ClaimedEvent) -> Fact:
        raise RuntimeError

    for _ in range(5):
        with pytest.raises(BatchFailed):
            await inbox.process_batch(fail, limit=10)
    assert (await inbox.process_batch(ignore, limit=10)).claimed == 1
    assert (await books.event(event_id))["starts"] == 0
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0


async def test_a_batch_that_was_cut_off_by_an_orderly_end_says_nothing_against_its_events(
    books: Books, worker_pool: Pool
) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    inbox = Inbox(worker_pool, worker="test")

    def cut_off(_event: ClaimedEvent) -> Fact:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await inbox.process_batch(cut_off, limit=10)
    await inbox.forget_failed_starts()
    assert await books.db.fetchval("select count(*) from fleet.batch_starts") == 0
    assert list(await books.work()) == [event_id]
    assert (await books.event(event_id))["starts"] == 0


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
