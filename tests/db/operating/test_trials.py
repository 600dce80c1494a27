"""Trials of replays: the console asks, a worker makes one and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest

from db.facts import Fact
from db.operating.matching import Match
from db.operating.trials import Change, Coins, TrialOutcome, ask_trial, make_trial, read_trial
from tests.db.books import Books, Outcome, Payment

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from db.inbox.batches import ClaimedEvent
    from tests.conftest import Connect


def interpret(event: ClaimedEvent) -> Fact:
    """In these tests a payload is the fact itself."""
    fact: Fact = msgspec.json.decode(event.payload, type=Fact)
    return fact


async def one_dead(books: Books) -> int:
    """A purchase of 100 coins whose event is dead."""
    buyer = await books.profile()
    [event_id] = await books.receive(Payment().bought(buyer))
    for _ in range(5):
        await books.db.execute("select fleet.fail_event($1, 'XX000: a bug')", event_id)
    return event_id


async def test_a_trial_leased_by_a_clock_ahead_is_made_after_it_is_set_right(
    books: Books, connect: Connect, worker_pool: Pool
) -> None:
    matches = [Match(await one_dead(books), "dead", has_payload=True)]
    trial_id = await ask_trial(await connect("console"), matches, typed_by="ann")
    for ahead_s, made in ((100, False), (1_200, True)):
        await books.db.execute(
            "update fleet.replay_trials set attempts = 1,"
            " lease_until = clock_timestamp() + make_interval(secs => $2) where id = $1",
            trial_id,
            ahead_s,
        )
        assert await make_trial(worker_pool, interpret) is made


async def test_the_console_asks_and_a_worker_tells_what_would_come_and_changes_nothing(
    books: Books, connect: Connect, worker_pool: Pool
) -> None:
    console = await connect("console")
    event_id = await one_dead(books)
    matches = [Match(event_id, "dead", has_payload=True), Match(10**9, "dead", has_payload=True)]
    trial_id = await ask_trial(console, matches, typed_by="ann")
    asked = await read_trial(console, trial_id)
    assert asked is not None
    assert asked.finished_at is None
    assert await make_trial(worker_pool, interpret)
    assert not await make_trial(worker_pool, interpret)
    trial = await read_trial(console, trial_id)
    assert trial is not None
    assert trial.outcome == TrialOutcome(
        batches=1,
        changes=[
            Change(before="dead", reason_before="failed", state="applied", reason=None, events=1)
        ],
        skipped={"unknown": 1},
        coins={"coins": Coins(gained=100, gainers=1)},
    )
    assert await books.outcome(event_id) == Outcome("dead", "failed")
    assert await books.db.fetchval("select count(*) from fleet.operator_actions") == 0


async def test_what_cannot_be_tried_is_told_without_its_values(
    books: Books, connect: Connect, worker_pool: Pool
) -> None:
    event_id = await one_dead(books)
    console = await connect("console")
    trial_id = await ask_trial(console, [Match(event_id, "dead", has_payload=True)], typed_by="ann")

    def fail(_: ClaimedEvent) -> Fact:
        message = "secret 4242"
        raise ValueError(message)

    assert await make_trial(worker_pool, fail)
    trial = await read_trial(console, trial_id)
    assert trial is not None
    assert trial.outcome is not None
    assert trial.outcome.failed == 1
    assert "4242" not in str(trial.outcome.error)


async def test_a_trial_that_kills_its_workers_is_given_up(
    books: Books, connect: Connect, worker_pool: Pool
) -> None:
    event_id = await one_dead(books)
    console = await connect("console")
    trial_id = await ask_trial(console, [Match(event_id, "dead", has_payload=True)], typed_by="ann")
    for _ in range(3):
        assert await worker_pool.fetchrow("select * from fleet.claim_trial()")
        assert await worker_pool.fetchrow("select * from fleet.claim_trial()") is None
        await books.db.execute("update fleet.replay_trials set lease_until = now()")
    assert not await make_trial(worker_pool, interpret)
    trial = await read_trial(console, trial_id)
    assert trial is not None
    assert trial.error == "no worker lived to finish it"


async def test_a_worker_reads_no_event_by_a_trial_that_nobody_asked_for(
    books: Books, connect: Connect, worker_pool: Pool
) -> None:
    event_id = await one_dead(books)
    call = "select * from fleet.begin_trial_batch($1, 1, 500)"
    assert await worker_pool.fetch(call, 1) == []
    console = await connect("console")
    trial_id = await ask_trial(console, [Match(event_id, "dead", has_payload=True)], typed_by="ann")
    assert await make_trial(worker_pool, interpret)
    assert await worker_pool.fetch(call, trial_id) == []


async def test_the_console_makes_no_trial_itself_and_reads_no_payload_by_one(
    connect: Connect,
) -> None:
    console = await connect("console")
    for call in ("claim_trial()", "begin_trial_batch(1, 1, 1)", "moved_coins()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await console.fetch(f"select * from fleet.{call}")
