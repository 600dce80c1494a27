"""Storing: each event is stored once, in the order in which the events came."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.errors import DatabaseUnavailable
from db.inbox.arrivals import Arrival, Stored, store_arrivals
from tests.db.books import Books
from tests.db.inbox.arrivals import arrival, ids

if TYPE_CHECKING:
    from db.connections.pool import Pool

ROUNDS = 20


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
    """Return an event with an unreadable body, as a receiver stores it."""
    refused = replace(arrival(event_id, body), event_type="unreadable")
    return replace(refused, **({"state": "rejected", "reason": "malformed"} | changes))  # type: ignore[arg-type]


@pytest.mark.long_but_first
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
async def test_a_receiver_stores_no_event_in_a_final_state(
    books: Books, web_pool: Pool, state: str | None, reason: str | None
) -> None:
    swallowed = malformed("evt_paid", b"{}", state=state, reason=reason)
    with pytest.raises(asyncpg.PostgresError):
        await store_arrivals(web_pool, [arrival("a"), swallowed])
    assert await ids(books) == []


async def test_an_unreadable_body_is_stored_under_its_own_hash_whatever_its_id(
    books: Books, web_pool: Pool
) -> None:
    bodies = {b"?": "evt_paid", b"!": sha256(b"?").hexdigest(), b"": "x" * 300}
    batch = [malformed(told, body) for body, told in bodies.items()]
    assert await store_arrivals(web_pool, batch) == [Stored.STORED] * 3
    assert await ids(books) == [sha256(body).hexdigest() for body in bodies]
    assert await store_arrivals(web_pool, [*batch, *batch]) == [Stored.SEEN] * 6
    assert await store_arrivals(web_pool, [arrival("evt_paid")]) == [Stored.STORED]


async def test_no_row_is_stored_if_one_can_not_be_stored(books: Books, web_pool: Pool) -> None:
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
async def test_what_the_schema_lacks_is_not_blamed_on_an_arrival(
    books: Books, web_pool: Pool, slip: str, undo: str | None
) -> None:
    """Otherwise each arrival would be tried and logged alone until the schema is complete."""
    await books.db.execute(slip)
    with pytest.raises(DatabaseUnavailable):
        await store_arrivals(web_pool, [arrival("a"), arrival("b")])
    if undo is not None:
        await books.db.execute(undo)
        assert await store_arrivals(web_pool, [arrival("a")]) == [Stored.STORED]


async def test_an_unreachable_database_is_reported_as_unavailable(web_pool: Pool) -> None:
    await web_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await store_arrivals(web_pool, [arrival("a")])


@pytest.mark.requirement("C2", "H2")
async def test_receivers_with_overlapping_batches_in_opposite_order_store_each_event_once(
    books: Books, web_pool: Pool
) -> None:
    for number in range(ROUNDS):
        batch = [arrival(f"{number}-{no}") for no in range(100)]
        here, there = await asyncio.gather(
            store_arrivals(web_pool, batch), store_arrivals(web_pool, batch[::-1])
        )
        found = [set(pair) for pair in zip(here, reversed(there), strict=True)]
        assert found == [{Stored.STORED, Stored.SEEN}] * 100
    assert await books.db.fetchval("select count(*) from fleet.inbox_events") == ROUNDS * 100
