"""The cause of each alert: what has to happen so that it fires, on a database and a web process.

Each changes what a real incident changes, where it can by the function that a process would call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from db import reconciliation
from tests.db.books import Books, Payment
from workers.queue.probe import QueueState
from workers.receiving.answers import NOT_AUTHENTIC, NOT_STORED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.connections.pool import Connection
    from workers.receiving.metrics import Metrics

HEALTHY = """
insert into fleet.worker_reports (worker, started_at, events, apply_buckets, detail)
values (
    'box:1', now(), 5, array[5],
    '{"latency_buckets": [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}'
);
insert into fleet.schedules (job, cadence_s, offset_s) values ('prove_new_entries', 60, 0);
insert into fleet.proofs (kind, violations, started_at)
values ('full', 0, now()), ('new', 0, now());
insert into fleet.backfills
    (provider, is_scheduled, from_at, to_at, reached_at, worker, started_at, finished_at)
values (
    'stripe', true, now() - interval '1 day', now(), now() - interval '20 minutes',
    'box:1', now(), now()
);
"""
HELD = """
update fleet.inbox_events
set state = 'held', reason = 'over_limit', received_at = now() - interval '31 minutes'
"""
A_CALL = """
insert into fleet.provider_calls (kind, key, state, created_at)
values ('stripe.refund', 'key', $1, now() - interval '16 minutes')
"""


@dataclass(slots=True)
class Stage:
    """A fleet that is well, until a cause does something to it."""

    db: Connection
    metrics: Metrics
    is_scraped: bool = True
    can_read: bool = True
    queue: QueueState = "reachable"

    @property
    def books(self) -> Books:
        """The books of its database, by the clock of now."""
        return Books(self.db)

    async def receive_one(self) -> int:
        """Store an event that no worker takes."""
        (event_id,) = await self.books.receive(Payment().refund(1))
        return event_id


def sql(text: str) -> Callable[[Stage], Awaitable[Any]]:
    """Return a cause that is a statement."""
    return lambda stage: stage.db.execute(text)


async def stop_all_webs(stage: Stage) -> None:
    stage.is_scraped = False


async def cut_the_database(stage: Stage) -> None:
    stage.can_read = False


async def cut_the_queue(stage: Stage) -> None:
    stage.queue = "unreachable"


async def turn_a_clock(stage: Stage) -> None:
    stage.metrics.note_clock_ahead(-45)


async def store_nothing(stage: Stage) -> None:
    stage.metrics.note_received("stripe", NOT_STORED)


async def use_another_secret(stage: Stage) -> None:
    for _ in range(6):
        stage.metrics.note_received("stripe", NOT_AUTHENTIC["no_match"])


async def crowd_it(stage: Stage) -> None:
    for _ in range(150):
        stage.metrics.note_refused("crowded")


async def find_a_missed_event(stage: Stage) -> None:
    event_id = await stage.receive_one()
    await stage.db.execute(
        "insert into fleet.found_events"
        " (event_id, backfill_id, provider, event_type, made_at, found_at, is_missed)"
        " select $1, b.id, 'stripe', 'charge.refunded', now(), now(), true"
        " from fleet.backfills as b",
        event_id,
    )
    await stage.db.execute("update fleet.backfills set missed = 1")


async def leave_an_event(stage: Stage) -> None:
    await stage.receive_one()
    await stage.db.execute(
        "update fleet.inbox_events set received_at = now() - interval '2 minutes',"
        " next_attempt_at = now() - interval '2 minutes'"
    )


async def apply_late(stage: Stage) -> None:
    await stage.db.execute(
        "update fleet.worker_reports set events = 105, detail ="
        " '{\"latency_buckets\": [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100]}'"
    )


async def lock_out_one_event(stage: Stage) -> None:
    event_id = await stage.receive_one()
    await stage.db.execute(
        "select * from fleet.set_event_aside("
        "$1, '55P03', 'in its way', true, now() - interval '16 minutes')",
        event_id,
    )


async def fail_an_event_five_times(stage: Stage) -> None:
    event_id = await stage.receive_one()
    for _ in range(5):
        await stage.db.execute("select * from fleet.fail_event($1, '22P02: bad')", event_id)


async def hold_an_event(stage: Stage) -> None:
    await stage.receive_one()
    await stage.db.execute(HELD)


async def ask_about_a_refund(stage: Stage) -> None:
    event_id = await stage.receive_one()
    await stage.db.execute(
        "insert into fleet.store_inquiries"
        " (provider, inquiry_id, event_id, store_app, asked_at, deadline)"
        " values ('apple', '1', $1, 'com.example', now() - interval '10 hours',"
        " now() + interval '2 hours')",
        event_id,
    )


async def fail_a_tick(stage: Stage) -> None:
    await stage.db.execute("select * from fleet.open_tick('prove_new_entries', 60, 0)")
    await stage.db.execute(
        "update fleet.ticks set attempts = 3, started_at = now() where job = 'prove_new_entries'"
    )
    await stage.db.execute(
        "select fleet.fail_tick(t.job, t.tick, t.attempts, 'gone') from fleet.ticks as t"
    )


async def miss_ticks(stage: Stage) -> None:
    await stage.db.execute("select * from fleet.open_tick('prove_new_entries', 60, 0)")
    await stage.db.execute(
        "update fleet.ticks set tick = tick - 3, finished_at = now(), outcome = 'done'"
    )
    await stage.db.execute("select * from fleet.open_tick('prove_new_entries', 60, 0)")


async def pause_a_schedule(stage: Stage) -> None:
    await stage.db.execute("select * from fleet.open_tick('prove_new_entries', 60, 0)")
    await stage.db.execute("select fleet.pause_schedule('prove_new_entries', 'a test', 'a test')")
    await stage.db.execute(
        "update fleet.schedule_pauses set paused_at = now() - interval '16 minutes'"
    )


async def break_the_books(stage: Stage) -> None:
    await stage.books.profile(coins=5)
    await stage.db.execute("update public.profiles set coin_balance = coin_balance + 1")
    found = await stage.db.fetchval("select count(*) from invariants.balances_match_ledger")
    await reconciliation.record_full_proof(
        stage.db,
        started_at=datetime.now(UTC),
        horizon=await reconciliation.read_horizon(stage.db),
        breaches={"balances_match_ledger": reconciliation.Breach(found, [])},
    )


async def pause_the_app(stage: Stage) -> None:
    await stage.db.execute(
        "insert into fleet.call_pauses (kind, reason) values ('app.deliver', '410')"
    )


CAUSES: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "CoinfleetNotScraped": stop_all_webs,
    "CoinfleetDatabaseUnreachable": cut_the_database,
    "CoinfleetQueueUnreachable": cut_the_queue,
    "CoinfleetNoWorker": sql(
        "update fleet.worker_reports set reported_at = now() - interval '2 minutes'"
    ),
    "CoinfleetNoScheduler": sql(
        "update fleet.schedules set fired_at = now() - interval '5 minutes'"
    ),
    "CoinfleetClockSkewed": turn_a_clock,
    "CoinfleetWebhooksNotStored": store_nothing,
    "CoinfleetSignaturesRefused": use_another_secret,
    "CoinfleetRequestsRefused": crowd_it,
    "CoinfleetMissedEvents": find_a_missed_event,
    "CoinfleetHistoryNotRead": sql(
        "update fleet.backfills set reached_at = now() - interval '25 hours'"
    ),
    "CoinfleetBacklog": leave_an_event,
    "CoinfleetSlow": apply_late,
    "CoinfleetEventKeepsFailing": lock_out_one_event,
    "CoinfleetEventsDead": fail_an_event_five_times,
    "CoinfleetEventHeld": hold_an_event,
    "CoinfleetStoreAsks": ask_about_a_refund,
    "CoinfleetLedgerDrift": break_the_books,
    "CoinfleetNotProved": sql(
        "update fleet.proofs set finished_at = now() - interval '16 minutes' where kind = 'new'"
    ),
    "CoinfleetTicksFailed": fail_a_tick,
    "CoinfleetTicksMissed": miss_ticks,
    "CoinfleetSchedulePaused": pause_a_schedule,
    "CoinfleetCallsDead": sql(A_CALL.replace("$1", "'dead'")),
    "CoinfleetCallsWait": sql(A_CALL.replace("$1", "'pending'")),
    "CoinfleetCallsPaused": pause_the_app,
}
