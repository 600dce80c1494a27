"""The number that the count of workers follows: for how long work has been due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.books import Books, Payment
from tests.db.plans import indexes, plan, statement

if TYPE_CHECKING:
    from db.connections.pool import Connection

SET_BACK = "update fleet.inbox_events set received_at = {0}, next_attempt_at = {0} where id = $1"
A_MINUTE_AGO = SET_BACK.format("clock_timestamp() - interval '1 minute'")


async def backlog(db: Connection) -> float:
    found: float = await db.fetchval("select fleet.backlog_seconds()")
    return found


async def test_without_a_pending_event_there_is_no_backlog(books: Books) -> None:
    assert await backlog(books.db) == 0


async def test_it_is_the_time_for_which_the_oldest_event_has_been_due(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(A_MINUTE_AGO, event_id)
    assert 60 <= await backlog(books.db) < 120


async def test_a_pause_before_the_next_attempt_does_not_count(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(A_MINUTE_AGO, event_id)
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = clock_timestamp() + interval '1 minute'"
    )
    assert await backlog(books.db) == 0


async def test_an_event_that_fails_while_others_succeed_does_not_count(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(
        "select * from fleet.set_event_aside($1, '55P03', 'in its way', true)", event_id
    )
    await books.db.execute(A_MINUTE_AGO, event_id)
    assert await backlog(books.db) == 0


async def test_an_event_in_its_pause_hides_none_that_is_due(books: Books) -> None:
    paused, due = await books.receive(Payment().refund(1), Payment().refund(1))
    await books.db.execute(A_MINUTE_AGO, due)
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = clock_timestamp() + interval '1 minute'"
        " where id = $1",
        paused,
    )
    assert await backlog(books.db) >= 60


async def test_while_nothing_succeeds_everything_counts(books: Books) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(
        "select * from fleet.set_event_aside($1, '55P03', 'in its way', false)", event_id
    )
    await books.db.execute(A_MINUTE_AGO, event_id)
    assert await backlog(books.db) >= 60


@pytest.mark.parametrize("state", ["waiting", "held", "dead", "applied"])
async def test_only_pending_events_count(books: Books, state: str) -> None:
    (event_id,) = await books.receive(Payment().refund(1))
    await books.db.execute(A_MINUTE_AGO, event_id)
    await books.db.execute(
        "update fleet.inbox_events set state = $1, reason = 'r', processed_at = now()", state
    )
    assert await backlog(books.db) == 0


async def test_it_is_read_by_the_index_of_pending_events(books: Books) -> None:
    await books.db.execute("set local enable_seqscan = off")
    await books.db.execute("set local enable_sort = off")
    await books.db.execute("set local enable_bitmapscan = off")
    nodes = await plan(books.db, statement("fleet.backlog_seconds", "select coalesce"))
    assert "inbox_events_pending_idx" in indexes(nodes)
    assert None not in indexes(nodes)
