"""A database that the release before has worked on: the next one moves no coin and finds no fault.

The release before is an earlier commit, whose own schema and worker run here.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from db.connections.pool import open_connection, open_pool
from tasks import PROCESS_PAYMENT_EVENTS
from tasks.housekeeping import tidy_up
from tests.conditions import eventually
from tests.db.books import SKU, breaches
from tests.db.reversals.reversing_events import PAID_S, dispute, refund, total
from tests.tasks.contexts import make_context
from tests.workers.earlier import unpack
from tests.workers.processes import running
from workers.cli.simulate import stripe as made
from workers.processes import RELEASE, WORKER
from workers.release import release
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.db.reversals.reversing_events import Event
    from workers.cli.simulate.stripe import StripePayment

MINOR = 1_000
PRICE_LIST = f"""
insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)
values ('stripe', '{SKU}', 100, 100, 'usd')
"""
DIRECT = "select public.process_coin_purchase($1, 'stripe', 'evt_direct', 'pi_direct', 1000, 10.00)"
ALL_DONE = "select not exists (select from fleet.inbox_events where state = 'pending')"

# What became of a payment of 1,000 coins, and what its buyer has left by the rules of then.
REVERSALS: dict[str, tuple[Callable[[StripePayment], Sequence[Event]], int]] = {
    "kept": (lambda _: [], 1_000),
    "total": (lambda p: [total(p, 400, 1)], 600),
    "total twice": (lambda p: [total(p, 200, 1), total(p, 500, 2)], 500),
    "refund": (lambda p: [refund(p, 300, 1, "succeeded"), total(p, 300, 2)], 700),
    "pending": (lambda p: [refund(p, 300, 1, "pending")], 700),
    "failed": (lambda p: [total(p, 1_000, 1), refund(p, 1_000, 2, "failed")], 1_000),
    "replaced": (
        lambda p: [
            total(p, 400, 1),
            refund(p, 400, 2, "failed"),
            refund(p, 300, 3, "succeeded"),
            total(p, 300, 4),
        ],
        700,
    ),
    "disputed": (lambda p: [dispute(p, 1, "needs_response", -1_000)], 0),
    "won": (
        lambda p: [
            dispute(p, 1, "needs_response", -1_000),
            dispute(p, 2, "won", -1_000, 1_000),
        ],
        1_000,
    ),
    "lost": (
        lambda p: [
            dispute(p, 1, "needs_response", -1_000),
            dispute(p, 2, "lost", -1_000, 200),
        ],
        200,
    ),
    "direct": (lambda p: [total(p, 100, 1), refund(p, 100, 2, "succeeded")], 900),
    "inquiry": (lambda p: [dispute(p, 1, "warning_needs_response")], 1_000),
}
# What the release before held, and why.
HOLDS: dict[str, tuple[int, dict[str, object], str]] = {
    "dear": (3_000_000, {}, "needs_approval"),
    "too cheap": (1_000, {"quantity": "20"}, "wrong_amount"),
    "unknown product": (1_000, {"sku": "no_such"}, "unknown_product"),
    "nobody": (1_000, {"profile_id": str(uuid4())}, "unknown_buyer"),
}


def payment(name: str, buyer: UUID, minor: int = MINOR, **changes: object) -> StripePayment:
    metadata = {"profile_id": str(buyer), "sku": SKU, "quantity": str(minor // 100)}
    return made.StripePayment(
        key=name.replace(" ", ""),
        amount_minor=minor,
        created_s=PAID_S,
        metadata=metadata | {key: str(value) for key, value in changes.items()},
    )


async def tell(db: Connection, *events: Event) -> None:
    """Store events as they were signed."""
    for event in events:
        body = json.dumps(event).encode()
        await db.execute(
            "select fleet.store_events($1, $2, $3, $4, $5, $6, $7)",
            *(["stripe"], [event["id"]], [event["type"]], [body]),
            *([sha256(body).digest()], ["pending"], [None]),
        )


async def books_of(db: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return all that is owned and owed: entries, balances, purchases."""
    queries = {
        "entries": "select id, transaction_id, leg, profile_id, account, amount, balance_after"
        " from public.ledger_entries order by id",
        "balances": "select id, coin_balance, earnings_balance from public.profiles order by id",
        "purchases": "select id, status, hold_reason, refunded_coins from public.coin_purchases"
        " order by id",
        "events": "select id, state, reason from fleet.inbox_events order by id",
    }
    return {name: [tuple(row) for row in await db.fetch(sql)] for name, sql in queries.items()}


@pytest.mark.long
async def test_an_older_database_comes_up_to_date_without_an_entry(
    empty_database: Database, redis_url: str, tmp_path: Path
) -> None:
    before = unpack(tmp_path / "before")
    settings = {"REDIS_URL": redis_url, "LOG_FORMAT": "json", "WORKER_NAME": "box"}
    settings |= DEVELOPMENT_SECRETS | empty_database.addresses()
    owner = {"DATABASE_URL": empty_database.url(), "LOG_FORMAT": "json"}
    async with running(tmp_path / "release", RELEASE.module, root=before, **owner) as process:
        assert await process.ended() == 0, process.text
    db = await open_connection(empty_database.url(), application_name="test")
    await db.execute(PRICE_LIST)
    buyers = {name: uuid4() for name in (*REVERSALS, *HOLDS)}
    await db.execute("insert into auth.users (id) select unnest($1::uuid[])", [*buyers.values()])
    for name, (story, _) in REVERSALS.items():
        paid = payment(name, buyers[name])
        if name == "direct":
            await db.execute(DIRECT, buyers[name])
        else:
            await tell(db, made.payment_intent_succeeded(paid))
        await tell(db, *story(paid))
    for name, (minor, changes, _) in HOLDS.items():
        held = payment(name, buyers[name], minor, **changes)
        await tell(db, made.payment_intent_succeeded(held))
    # A refund whose payment nobody has told of.
    await tell(db, refund(payment("untold", uuid4()), 100, 1, "succeeded"))
    async with running(tmp_path / "worker", WORKER.module, root=before, **settings):
        await eventually(lambda: db.fetchval(ALL_DONE))
    found = await books_of(db)
    balances = {row[0]: row[1] for row in found["balances"]}
    assert {name: balances[buyers[name]] for name in REVERSALS} == {
        name: left for name, (_, left) in REVERSALS.items()
    }
    held = await db.fetch("select reason from fleet.inbox_events where state = 'held' order by id")
    assert [row["reason"] for row in held] == [reason for *_, reason in HOLDS.values()]

    await release(Settings(database_url=empty_database.url()))
    assert await books_of(db) == found
    assert await breaches(db) == {}
    # A worker finds nothing to make up for either, whatever it judges again.
    pool = await open_pool(empty_database.url("worker"), application_name="test", max_size=2)
    context = make_context(pool)
    await tidy_up(context)
    await PROCESS_PAYMENT_EVENTS.function(context)
    pool.terminate()
    assert await books_of(db) == found
    assert await breaches(db) == {}
    db.terminate()
