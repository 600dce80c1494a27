"""The loop of payment events: due events are applied, and one that fails stops no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.errors import DatabaseUnavailable
from db.facts import Verdict
from db.inbox.arrivals import Arrival, store_arrivals
from tasks.payment_events import process_payment_events
from tasks.providers.stripe import Stripe
from tests.conditions import somebody_waits_for_a_lock
from tests.db.books import (
    APPLIED,
    COINS,
    NO_PURCHASE_YET,
    NOON,
    PRICE_LIST,
    PRICE_MINOR,
    SKU,
    Books,
    Payment,
)
from tests.tasks.contexts import make_context
from workers.cli.simulate import stripe as simulated_stripe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tasks.context import Meter
    from tests.conftest import Connect


@pytest_asyncio.fixture
async def books(db: Connection) -> AsyncIterator[Books]:
    """The books of the test; they must be right when it ends."""
    await db.execute(PRICE_LIST)
    yield (books := Books(db))
    assert await books.breaches() == {}


@pytest.fixture
def interpret_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Fact]], None]:
    """Let Stripe's events mean these facts; an event without a fact raises."""

    def take(facts: dict[int, Fact]) -> None:
        def interpret(_stripe: Stripe, event: ClaimedEvent) -> Fact:
            return facts[event.id]

        monkeypatch.setattr(Stripe, "interpret", interpret)

    return take


async def purchases(books: Books, number: int) -> dict[int, Fact]:
    """Receive so many purchases; return the fact of each event."""
    buyers = await books.profiles(number)
    facts = [Payment().bought(buyer) for buyer in buyers]
    return dict(zip(await books.receive(*facts), facts, strict=True))


async def test_due_events_are_applied_batch_by_batch(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    facts = await purchases(books, 5)
    interpret_as(facts)
    context = make_context(worker_pool, batch_size=2)
    assert await process_payment_events(context) == 5
    assert [await books.outcome(event_id) for event_id in facts] == [APPLIED] * 5
    assert (context.meter.batches, context.meter.events) == (3, 5)


async def test_without_due_events_nothing_is_claimed(books: Books, worker_pool: Pool) -> None:
    assert await process_payment_events(make_context(worker_pool)) == 0


async def test_a_process_that_stops_claims_no_further_batch(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    interpret_as(await purchases(books, 1))
    context = make_context(worker_pool)
    context.stopping.set()
    assert await process_payment_events(context) == 0


async def test_an_event_whose_interpretation_fails_fails_alone(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    facts = await purchases(books, 3)
    unreadable = list(facts)[1]
    del facts[unreadable]
    interpret_as(facts)
    await process_payment_events(make_context(worker_pool))
    assert [await books.outcome(event_id) for event_id in facts] == [APPLIED] * 2
    event = await books.event(unreadable)
    assert (event["state"], event["attempts"]) == ("pending", 1)
    assert event["last_error"] == f"KeyError: {unreadable}"


async def test_an_event_that_breaks_its_whole_batch_is_found_by_halving(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    facts = await purchases(books, 8)
    culprit = list(facts)[5]
    # No provider returns such an address: PostgreSQL can't read the fact.
    facts[culprit] = Payment().bought(await books.profile(), ip_address="300.1.1.1")
    interpret_as(facts)
    await process_payment_events(make_context(worker_pool))
    del facts[culprit]
    assert [await books.outcome(event_id) for event_id in facts] == [APPLIED] * 7
    event = await books.event(culprit)
    assert (event["state"], event["attempts"]) == ("pending", 1)
    assert "inet" in event["last_error"]


async def test_a_lost_connection_counts_as_no_attempt(
    books: Books,
    worker_pool: Pool,
    connect: Connect,
    interpret_as: Callable[[dict[int, Fact]], None],
) -> None:
    facts = await purchases(books, 1)
    interpret_as(facts)
    context = make_context(worker_pool)
    superuser, blocker = await connect("superuser"), await connect()
    await blocker.execute("begin; select from public.profiles for update")
    work = asyncio.create_task(process_payment_events(context))
    await somebody_waits_for_a_lock(superuser)
    await superuser.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    await blocker.execute("rollback")
    with pytest.raises(DatabaseUnavailable):
        await work
    assert await process_payment_events(context) == 1
    event = await books.event(*facts)
    assert (event["state"], event["attempts"], event["starts"]) == ("applied", 1, 0)


async def test_an_unreachable_database_has_its_own_error(worker_pool: Pool) -> None:
    await worker_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await process_payment_events(make_context(worker_pool))


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (Verdict(state="dead", reason="failed"), "error"),
        (Verdict(state="rejected", reason="malformed"), "error"),
        (Verdict(state="rejected", reason="no_purchase"), "error"),
        (Verdict(state="rejected", reason="charge_failed"), "error"),
        (Verdict(state="rejected", reason="livemode_mismatch"), None),
        (Verdict(state="ignored", reason="not_ours"), None),
    ],
)
async def test_money_that_moved_without_coins_is_logged_as_an_error(
    books: Books,
    worker_pool: Pool,
    interpret_as: Callable[[dict[int, Fact]], None],
    verdict: Verdict,
    level: str | None,
) -> None:
    (event_id,) = await books.receive(verdict)
    interpret_as({event_id: verdict})
    with capture_logs() as logs:
        await process_payment_events(make_context(worker_pool))
    alarms = [line["log_level"] for line in logs if line.get("event_id") == event_id]
    assert alarms == ([level] if level else [])


async def test_a_dispute_in_a_currency_without_a_rate_is_logged_as_an_error(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (payment.bought(buyer), payment.dispute(40, -40, status="lost", currency="eur"))
    event_ids = await books.receive(*facts)
    interpret_as(dict(zip(event_ids, facts, strict=True)))
    with capture_logs() as logs:
        await process_payment_events(make_context(worker_pool))
    alarms = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], line["event_id"]) for line in alarms] == [
        ("dispute_without_rate", event_ids[1])
    ]
    assert await books.coins(buyer) == 0


def an_intent(buyer: UUID, **whose: str) -> dict[str, object]:
    payment = simulated_stripe.StripePayment(
        key=buyer.hex,
        amount_minor=PRICE_MINOR,
        created_s=int(NOON.timestamp()),
        metadata={"profile_id": str(buyer), "sku": SKU},
    )
    return simulated_stripe.payment_intent_succeeded(payment) | whose


async def store(pool: Pool, event: dict[str, object]) -> None:
    body = msgspec.json.encode(event)
    name = str(event["id"])
    await store_arrivals(pool, [Arrival("stripe", name, "", body, sha256(body).digest())])


async def test_another_accounts_event_is_an_alarm_that_names_it_and_is_judged_again(
    books: Books, worker_pool: Pool, web_pool: Pool
) -> None:
    buyer = await books.profile()
    await store(web_pool, an_intent(buyer, account="acct_theirs"))
    with capture_logs() as logs:
        await process_payment_events(make_context(worker_pool))
    event = await books.event(await books.db.fetchval("select id from fleet.inbox_events"))
    assert (event["state"], event["reason"]) == ("rejected", "account_mismatch")
    assert event["last_error"] == "acct_theirs"
    (alarm,) = [line for line in logs if line["log_level"] == "error"]
    assert (alarm["event_id"], alarm["account"]) == (event["id"], "acct_theirs")
    assert str(buyer) not in str(logs)
    assert await books.coins(buyer) == 0
    # Nor is the payment marked as another product's: its refunds would still count.
    assert await books.db.fetchval("select count(*) from fleet.payments") == 0

    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    context = make_context(worker_pool, providers={Stripe.name: Stripe(accounts=["acct_theirs"])})
    await process_payment_events(context)
    assert await books.outcome(event["id"]) == APPLIED
    assert await books.coins(buyer) == COINS


def counted(meter: Meter) -> dict[str, int]:
    """Return the number of outcomes by state."""
    states: Counter[str] = Counter()
    for (state, _reason), events in meter.outcomes.items():
        states[state] += events
    return dict(states)


async def test_events_are_counted_by_outcome_and_not_by_claim(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    facts = await purchases(books, 3)
    others: list[Fact] = [
        Verdict(state="ignored", reason="not_ours"),
        Verdict(state="rejected", reason="livemode_mismatch"),
        Verdict(state="rejected", reason="malformed"),
    ]
    facts |= dict(zip(await books.receive(*others), others, strict=True))
    poisoned = next(iter(facts))
    interpret_as({event_id: fact for event_id, fact in facts.items() if event_id != poisoned})
    context = make_context(worker_pool, batch_size=4)
    with capture_logs() as logs:
        await process_payment_events(context)
    assert counted(context.meter) == {"applied": 2, "ignored": 1, "rejected": 2}
    assert context.meter.events == 2
    assert sum(context.meter.latency_buckets) == 2
    batches = [line for line in logs if line["event"] == "batch_applied"]
    assert sum(line["events"] for line in batches) == 2
    assert sum(line["claimed"] for line in batches) == 6
    assert sum(line.get("failed", 0) for line in batches) == 1


async def test_an_event_that_another_settles_is_counted_as_applied(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    books.now = datetime.now(UTC)
    buyers = await books.profiles(2)
    early, bought_twice = Payment(), Payment()
    waiting: list[Fact] = [early.refund(PRICE_MINOR), early.refunded_so_far(PRICE_MINOR)]
    settling: list[Fact] = [
        early.bought(buyers[0]),
        bought_twice.bought(buyers[1]),
        bought_twice.bought(buyers[1]),
    ]
    context = make_context(worker_pool)
    with capture_logs() as logs:
        for facts in (waiting, settling):
            interpret_as(dict(zip(await books.receive(*facts), facts, strict=True)))
            await process_payment_events(context)
    applied = await books.db.fetchval(
        "select count(*) from fleet.inbox_events where state = 'applied'"
    )
    assert applied == len(waiting) + len(settling)
    assert context.meter.events == applied
    assert sum(context.meter.latency_buckets) == applied
    # Counted when it began to wait or was held, and again with the state in which it ended.
    assert counted(context.meter)["applied"] == applied
    batch = next(line for line in reversed(logs) if line["event"] == "batch_applied")
    assert (batch["events"], batch["settled"]) == (3, 2)


async def test_an_event_that_goes_on_waiting_is_counted_once(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    books.now = datetime.now(UTC)
    payment = Payment()
    context = make_context(worker_pool)
    for fact in (payment.refund(1), payment.refund(2, "other")):
        (event_id,) = await books.receive(fact)
        interpret_as({event_id: fact})
        await process_payment_events(context)
    assert counted(context.meter) == {"waiting": 2}
    assert context.meter.events == 0


async def test_a_worker_of_the_last_release_is_told_of_its_own_events_only(books: Books) -> None:
    payment = Payment()
    (waiting,) = await books.receive(payment.refund(PRICE_MINOR))
    assert await books.work() == {waiting: NO_PURCHASE_YET}
    (purchase,) = await books.receive(payment.bought(await books.profile()))
    # By fleet.apply_events, as such a worker calls it.
    assert await books.work() == {purchase: APPLIED}
    assert await books.outcome(waiting) == APPLIED


async def test_an_event_that_fails_five_times_is_one_dead_event_and_five_failures(
    books: Books,
    worker_pool: Pool,
    db: Connection,
    interpret_as: Callable[[dict[int, Fact]], None],
) -> None:
    (poisoned,) = await purchases(books, 1)
    interpret_as({})
    context = make_context(worker_pool)
    with capture_logs() as logs:
        for _ in range(5):
            await db.execute("update fleet.inbox_events set next_attempt_at = now()")
            await process_payment_events(context)
    assert (await books.event(poisoned))["state"] == "dead"
    assert context.meter.events == 0
    assert counted(context.meter) == {"dead": 1}
    assert context.meter.failures == {"KeyError": 5}
    lines = [line for line in logs if line["event"] == "event_failed"]
    assert {line["event_id"] for line in lines} == {poisoned}
    assert [line["attempt"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["log_level"] for line in lines] == [*["warning"] * 4, "error"]
    assert [line["then"].partition(" in ")[0] for line in lines[:4]] == ["tried again"] * 4
    assert lines[4]["then"].startswith("dead: ")


async def test_a_failure_in_sql_is_logged_with_its_sqlstate_and_without_values(
    books: Books, worker_pool: Pool, interpret_as: Callable[[dict[int, Fact]], None]
) -> None:
    facts = await purchases(books, 2)
    culprit = list(facts)[1]
    facts[culprit] = Payment().bought(await books.profile(), ip_address="300.1.1.1")
    interpret_as(facts)
    context = make_context(worker_pool)
    with capture_logs() as logs:
        await process_payment_events(context)
    (line,) = [each for each in logs if each["event"] == "event_failed"]
    assert line["event_id"] == culprit
    assert line["sqlstate"] == "22P02"
    assert line["attempt"] == 1
    assert "300.1.1.1" not in str(logs)
    assert context.meter.events == 1


async def test_a_bug_in_interpretation_is_logged_with_its_place_and_no_value(
    books: Books, worker_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interpret(_stripe: Stripe, _event: ClaimedEvent) -> Fact:
        raise ValueError("ada@example.org")

    await purchases(books, 1)
    monkeypatch.setattr(Stripe, "interpret", interpret)
    with capture_logs() as logs:
        await process_payment_events(make_context(worker_pool))
    (line,) = [each for each in logs if each["event"] == "event_not_interpreted"]
    assert line["error"] == "ValueError"
    assert line["at"].startswith("test_payment_events.py:")
    assert "ada@example.org" not in str(logs)
