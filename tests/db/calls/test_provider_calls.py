"""The outbox: a call is made by one worker at a time, until it is done or needs a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.outbox.provider_calls import claim_calls, fail_call, finish_call
from tests.db.calls.outbox import KIND, LEASE_S

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.db.books import Books
    from tests.db.calls.outbox import Outbox

OTHER = "google.consume"


async def test_there_is_one_call_per_key(outbox: Outbox) -> None:
    await outbox.write("order 1")
    with pytest.raises(asyncpg.UniqueViolationError):
        await outbox.write("order 1")


async def test_a_call_is_claimed_by_one_worker(outbox: Outbox) -> None:
    call_id = await outbox.write("a")
    call = await outbox.claim_one(worker="one")
    assert (call["id"], call["key"], call["attempt"], call["is_retry"]) == (call_id, "a", 1, False)
    assert await outbox.claim(worker="two") == []


async def test_a_call_whose_worker_was_killed_is_claimed_again_after_its_lease(
    outbox: Outbox, books: Books
) -> None:
    await outbox.write("a")
    await outbox.claim_one(worker="killed")
    books.wait(seconds=LEASE_S - 1)
    assert await outbox.claim(worker="other") == []
    books.wait(seconds=1)
    call = await outbox.claim_one(worker="other")
    assert (call["attempt"], call["is_retry"]) == (2, True)


async def test_a_worker_that_was_given_up_neither_finishes_nor_fails_the_call(
    outbox: Outbox, books: Books
) -> None:
    call_id = await outbox.write("a")
    frozen = await outbox.claim_one(worker="frozen")
    books.wait(seconds=LEASE_S)
    newer = await outbox.claim_one(worker="other")
    assert not await outbox.finish(frozen)
    assert await outbox.fail(frozen, "refused") is None
    assert await outbox.state(call_id) == "pending"
    assert await outbox.finish(newer)
    assert await outbox.state(call_id) == "done"


async def test_a_call_that_is_done_is_never_made_again(outbox: Outbox, books: Books) -> None:
    await outbox.write("a")
    call = await outbox.claim_one()
    assert await outbox.finish(call, {"order": "1"})
    assert not await outbox.finish(call)
    books.wait(days=1)
    assert await outbox.claim() == []


async def test_pauses_double_up_to_five_minutes(outbox: Outbox, books: Books) -> None:
    await outbox.write("a")
    pauses = []
    for _ in range(11):
        failed = await outbox.fail(await outbox.claim_one())
        assert failed is not None
        pauses.append(failed["pause_s"])
        books.wait(seconds=failed["pause_s"])
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize(("asked_s", "waited_s"), [(30, 30), (0.5, 1), (1_000_000, 3_600)])
async def test_what_the_provider_asks_for_is_waited_for_up_to_an_hour(
    outbox: Outbox, asked_s: float, waited_s: float
) -> None:
    await outbox.write("a")
    failed = await outbox.fail(await outbox.claim_one(), retry_after_s=asked_s)
    assert failed is not None
    assert failed["pause_s"] == waited_s


async def test_an_outage_never_makes_a_call_dead(outbox: Outbox, books: Books) -> None:
    call_id = await outbox.write("a")
    for _ in range(20):
        await outbox.fail(await outbox.claim_one())
        books.wait(minutes=5)
    assert await outbox.state(call_id) == "pending"


async def test_an_outage_makes_a_call_dead_after_its_own_last_time(
    outbox: Outbox, books: Books
) -> None:
    call_id = await outbox.write("a", give_up_at=books.now + timedelta(days=3))
    await outbox.fail(await outbox.claim_one())
    assert await outbox.state(call_id) == "pending"
    books.wait(days=3)
    await outbox.fail(await outbox.claim_one())
    assert await outbox.state(call_id) == "dead"


async def test_a_refused_call_is_dead_at_once(outbox: Outbox, books: Books) -> None:
    call_id = await outbox.write("a")
    await outbox.fail(await outbox.claim_one(), "refused")
    assert await outbox.state(call_id) == "dead"
    books.wait(days=1)
    assert await outbox.claim() == []


async def test_a_defect_of_ours_makes_a_call_dead_at_the_fifth_attempt(
    outbox: Outbox, books: Books
) -> None:
    call_id = await outbox.write("a")
    states = []
    # Outages between them do not count.
    for fate in ("defect", "transient", "defect", "defect", "transient", "defect", "defect"):
        await outbox.fail(await outbox.claim_one(), fate)
        states.append(await outbox.state(call_id))
        books.wait(minutes=5)
    assert states == ["pending"] * 6 + ["dead"]


async def test_a_dead_call_that_the_owner_puts_back_is_made_as_one_that_was_tried(
    outbox: Outbox, books: Books
) -> None:
    call_id = await outbox.write("a")
    await outbox.fail(await outbox.claim_one(), "refused")
    books.wait(hours=1)
    await books.db.execute("select fleet.replay_calls(array[$1::bigint], 'a', 'b', '{}')", call_id)
    books.now = await books.db.fetchval("select clock_timestamp()")
    assert (await outbox.claim_one())["is_retry"]


async def test_all_workers_together_keep_to_what_a_provider_takes_at_once(
    outbox: Outbox, books: Books
) -> None:
    for number in range(5):
        await outbox.write(f"a{number}")
    first = await outbox.claim(worker="one", limit=2, at_once=3)
    second = await outbox.claim(worker="two", limit=2, at_once=3)
    third = await outbox.claim(worker="three", limit=2, at_once=3)
    assert [len(first), len(second), len(third)] == [2, 1, 0]
    await outbox.finish(first[0])
    assert len(await outbox.claim(worker="three", limit=2, at_once=3)) == 1
    # Those of the dead are given up with their lease.
    books.wait(seconds=LEASE_S)
    assert len(await outbox.claim(worker="three", limit=9, at_once=3)) == 3


async def test_only_the_kinds_that_a_worker_can_make_are_claimed(outbox: Outbox) -> None:
    await outbox.write("a", kind=KIND)
    other = await outbox.write("b", kind=OTHER)
    (call,) = await outbox.claim(OTHER, "google.acknowledge")
    assert call["id"] == other


async def test_the_longest_due_calls_come_first(outbox: Outbox, books: Books) -> None:
    late = await outbox.write("late")
    early = await outbox.write("early", next_attempt_at=books.now - timedelta(minutes=1))
    await outbox.write("not yet", next_attempt_at=books.now + timedelta(minutes=1))
    found = [(await outbox.claim_one(limit=1))["id"] for _ in range(2)]
    assert found == [early, late]
    assert await outbox.claim() == []


async def test_a_time_that_a_clock_ahead_left_holds_no_call_up(
    outbox: Outbox, books: Books
) -> None:
    call_id = await outbox.write("a", next_attempt_at=books.now + timedelta(days=30))
    assert (await outbox.claim_one())["id"] == call_id


async def test_what_is_open_or_dead_is_counted_and_what_is_done_is_not(outbox: Outbox) -> None:
    for key in ("done", "dead"):
        await outbox.write(key)
        call = await outbox.claim_one()
        await (outbox.finish(call) if key == "done" else outbox.fail(call, "refused"))
    await outbox.write("open")
    await outbox.write("another", kind=OTHER)
    rows = await outbox.books.db.fetch(
        "select provider, kind, state, calls, untried, last_error from fleet.provider_call_counts()"
    )
    assert [tuple(row) for row in rows] == [
        ("google", OTHER, "pending", 1, 1, None),
        ("shop", KIND, "dead", 1, 0, "503"),
        ("shop", KIND, "pending", 1, 1, None),
    ]


async def test_two_workers_never_make_the_same_call(
    worker_pool: Pool, own_session: Connection
) -> None:
    await own_session.execute(
        "insert into fleet.provider_calls (kind, key, request)"
        " select 'shop.order', n::text, '{\"n\": 1}' from generate_series(1, 20) as n"
    )

    async def work(worker: str) -> list[str]:
        made: list[str] = []
        while await own_session_has_pending():
            for call in await claim_calls(
                worker_pool, worker=worker, kinds=[KIND], limit=3, at_once=8, lease_s=LEASE_S
            ):
                made.append(call.key)
                assert await finish_call(worker_pool, call, {"n": call.request["n"]})
        return made

    lock = asyncio.Lock()

    async def own_session_has_pending() -> bool:
        async with lock:
            found: bool = await own_session.fetchval(
                "select exists (select from fleet.provider_calls where state = 'pending')"
            )
        return found

    one, two = await asyncio.gather(work("one"), work("two"))
    assert sorted(one + two) == sorted(map(str, range(1, 21)))


async def test_a_worker_tells_why_a_call_failed(worker_pool: Pool, own_session: Connection) -> None:
    await own_session.execute(
        "insert into fleet.provider_calls (kind, key) values ('shop.order', 'a')"
    )
    (call,) = await claim_calls(
        worker_pool, worker="one", kinds=[KIND], limit=1, at_once=1, lease_s=LEASE_S
    )
    failed = await fail_call(worker_pool, call, error="429", fate="transient", retry_after_s=17.0)
    assert failed is not None
    assert (failed.state, failed.attempt, failed.pause_s) == ("pending", 1, 17.0)
    error = await own_session.fetchval("select last_error from fleet.provider_calls")
    assert error == "429"


async def test_what_an_answer_says_happened_is_an_event_once(books: Books, outbox: Outbox) -> None:
    event = {"id": "order:1:REFUNDED", "type": "backfill.order", "payload": '{"order": "ü"}'}
    for key in ("a", "b"):
        await outbox.write(key, kind="google.look")
    for call in await outbox.claim("google.look"):
        await outbox.finish(call, {"state": "REFUNDED", "event": event})
    rows = await books.db.fetch(
        "select provider, provider_event_id, event_type, payload, state from fleet.inbox_events"
    )
    stored = ("google", event["id"], event["type"], event["payload"].encode(), "pending")
    assert [tuple(row) for row in rows] == [stored]
    result = await books.db.fetchval("select result::text from fleet.provider_calls limit 1")
    assert result == '{"state": "REFUNDED"}'
