"""What `coinfleet status` says of events, money, the queue and the schema, and when it can't."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db.connections.roles import NotReleased
from db.errors import CoinfleetError, DatabaseRefused, DatabaseUnavailable
from db.health.status import read_held_counts
from db.inbox.arrivals import Arrival, store_arrivals
from schedules.timetable import TIMETABLE
from tests.db.money.calls import buy
from tests.workers.cli.status.questions import NOWHERE, health_of, store_event
from workers.cli.status import checks as status_checks
from workers.cli.status.checks import CheckContext, find_held_money
from workers.cli.status.command import read_health
from workers.cli.status.faults import Fault

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import SignIn


A_REJECTED_PURCHASE = """
insert into public.coin_purchases (
    profile_id, payment_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, hold_reason, decision, purchased_at
)
values ($1, 1, 'stripe', 'evt_over_limit', 'pi_1', 100, 999, 'usd', 'over_limit', 'rejected', now())
"""


@pytest.mark.usefixtures("at_work")
async def test_a_fleet_at_work_is_healthy(database: Database, redis_url: str) -> None:
    health = await health_of(database, redis_url)
    assert health.healthy
    assert health.queue.reachable
    assert health.queue.waiting == 0
    assert [worker.events for worker in health.workers] == [7]


async def test_a_fleet_that_never_ran_lacks_its_scheduler_and_a_worker(database: Database) -> None:
    attention = (await health_of(database)).attention
    no_scheduler, no_worker = attention
    assert no_scheduler.startswith(f"no scheduler: no job was ever fired, {len(TIMETABLE)} jobs")
    assert no_worker == "no worker reports"


@pytest.mark.usefixtures("at_work")
async def test_events_are_counted_by_state_and_provider(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    for event_id in ("evt_1", "evt_2", "evt_3"):
        await store_event(web_pool, event_id)
    await db.execute(
        "update fleet.inbox_events set state = 'applied' where provider_event_id = 'evt_1'"
    )
    health = await health_of(database)
    assert (health.events["pending"], health.events["applied"], health.events["held"]) == (2, 1, 0)
    assert health.events_by_provider == {"stripe": health.events}
    assert health.healthy


@pytest.mark.usefixtures("at_work")
async def test_a_dead_event_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await store_event(web_pool, "evt_poison")
    await db.execute(
        "update fleet.inbox_events set state = 'dead', reason = 'failed', last_error = 'Boom'"
    )
    health = await health_of(database)
    (line,) = health.attention
    (dead,) = health.dead.oldest
    assert line.startswith(f"dead: 1 event, the oldest with id {dead.id} (Boom): remove the cause")
    assert line.endswith(f"`coinfleet replay --id {dead.id} --why '…'`")
    assert health.dead.newest == [dead]
    assert (dead.provider_event_id, dead.reason, dead.last_error) == (
        "evt_poison",
        "failed",
        "Boom",
    )


@pytest.mark.usefixtures("at_work")
async def test_several_dead_events_need_one_command(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    for event_id in ("evt_1", "evt_2"):
        await store_event(web_pool, event_id)
    await db.execute("update fleet.inbox_events set state = 'dead', reason = 'failed'")
    (line,) = (await health_of(database)).attention
    assert line.endswith(", or all of them by `--state dead`")


@pytest.mark.usefixtures("at_work")
async def test_the_oldest_held_events_are_listed_first_and_raise_no_alarm_at_once(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    for number in range(5):
        await store_event(web_pool, f"evt_{number}")
    await db.execute("update fleet.inbox_events set state = 'held', reason = 'over_limit'")
    health = await health_of(database)
    assert health.held.count == 5
    assert [event.provider_event_id for event in health.held.oldest] == ["evt_0", "evt_1", "evt_2"]
    assert [event.provider_event_id for event in health.held.newest] == ["evt_4", "evt_3", "evt_2"]
    assert health.healthy


async def hold_events(web_pool: Pool, db: Connection, *, minutes: float, reason: str) -> None:
    """Store one event that has been held for so long."""
    await store_event(web_pool, f"evt_{reason}")
    await db.execute(
        "update fleet.inbox_events set state = 'held', reason = $1,"
        " received_at = clock_timestamp() - interval '1 minute' * $2,"
        " processed_at = clock_timestamp() - interval '1 minute' * $2"
        " where provider_event_id = 'evt_' || $1",
        reason,
        minutes,
    )


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("minutes", "after", "healthy"),
    [(44, 30, False), (29, 30, True), (31, 30, False), (44, 60, True), (1, 0, False)],
)
@pytest.mark.usefixtures("at_work")
async def test_money_held_for_longer_than_the_setting_needs_a_person(
    database: Database,
    web_pool: Pool,
    db: Connection,
    minutes: int,
    after: int,
    *,
    healthy: bool,
) -> None:
    await hold_events(web_pool, db, minutes=minutes, reason="over_limit")
    health = await read_health(database.url(), None, held_after_minutes=after)
    assert health.healthy is healthy
    if not healthy:
        (line,) = health.attention
        assert line.startswith("held (over_limit): 1 payment, the oldest (event ")
        assert f"{minutes} min ago" in line


async def test_exactly_as_long_as_the_setting_is_not_longer(
    web_pool: Pool, db: Connection, pool: Pool
) -> None:
    await hold_events(web_pool, db, minutes=0, reason="over_limit")
    (held,) = await read_held_counts(pool)
    after, least = timedelta(minutes=30), timedelta(microseconds=1)
    then = CheckContext(pool=pool, now=held.oldest_at + after, held_after=after)
    assert await find_held_money(then) == []
    (fault,) = await find_held_money(replace(then, now=then.now + least))
    assert fault.code == "held_long"


@pytest.mark.usefixtures("at_work")
async def test_held_events_are_listed_by_reason_the_longest_held_first(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=5, reason="velocity")
    await hold_events(web_pool, db, minutes=44, reason="wrong_amount")
    await hold_events(web_pool, db, minutes=20, reason="unknown_buyer")
    health = await health_of(database)
    assert [each.reason for each in health.held_by_reason] == [
        *("wrong_amount", "unknown_buyer", "velocity")
    ]


@pytest.mark.usefixtures("at_work")
async def test_money_held_with_a_time_in_the_future_needs_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=-20, reason="over_limit")
    (line,) = (await health_of(database)).attention
    assert "20 min ahead of the clock" in line


@pytest.mark.usefixtures("at_work")
async def test_what_a_person_rejected_waits_for_its_refund_not_for_a_person(
    database: Database, web_pool: Pool, db: Connection
) -> None:
    await hold_events(web_pool, db, minutes=44, reason="over_limit")
    await db.execute("update fleet.inbox_events set payment_id = 1")
    buyer = await db.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    await db.execute(A_REJECTED_PURCHASE, buyer)
    assert (await health_of(database)).healthy


@pytest.mark.usefixtures("at_work")
async def test_what_a_direct_call_left_to_a_person_is_told_though_it_has_no_event(
    database: Database, db: Connection, signed_in: SignIn
) -> None:
    buyer = await db.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    backend = await signed_in(role="service_role")
    assert (await buy(backend, buyer, usd="30000"))[0] == "pending"
    await db.execute("update public.coin_purchases set created_at = now() - interval '44 minutes'")
    health = await health_of(database)
    told = "held (needs_approval): 1 payment worth 30,000.00 USD, the oldest 44 min ago:"
    assert [line.partition(" a person")[0] for line in health.attention] == [told]
    await db.execute("update public.coin_purchases set decision = 'rejected'")
    assert (await health_of(database)).healthy


@pytest.mark.parametrize(("age_s", "healthy"), [(30, True), (61, False)])
@pytest.mark.usefixtures("at_work")
async def test_an_event_pending_for_over_a_minute_needs_a_person(
    database: Database, web_pool: Pool, db: Connection, age_s: int, *, healthy: bool
) -> None:
    await store_event(web_pool, "evt_1")
    await db.execute(
        "update fleet.inbox_events set received_at = clock_timestamp() - interval '1 second' * $1",
        age_s,
    )
    health = await health_of(database)
    assert health.healthy is healthy
    assert health.oldest_pending_s is not None
    assert health.oldest_pending_s >= age_s


@pytest.mark.usefixtures("at_work")
async def test_drift_needs_a_person(database: Database, db: Connection) -> None:
    await db.execute(
        "insert into fleet.proofs (kind, violations, detail, started_at)"
        """ values ('full', 2, '{"balances_match_ledger": []}', clock_timestamp())"""
    )
    health = await health_of(database)
    assert health.attention == ["the proofs found 2 violations in the books"]
    assert health.drift.detail == {"balances_match_ledger": []}


@pytest.mark.usefixtures("at_work")
async def test_a_server_that_takes_no_writes_needs_a_person(
    database: Database, db: Connection
) -> None:
    await db.execute("alter role current_user set default_transaction_read_only = on")
    try:
        attention = (await health_of(database)).attention
    finally:
        await db.execute("alter role current_user reset default_transaction_read_only")
    assert attention == [
        "the database is read-only: nothing is stored or applied; is this a standby?"
    ]


@pytest.mark.usefixtures("at_work")
async def test_an_event_whose_cause_should_have_passed_is_named_with_its_sqlstate(
    database: Database, db: Connection, web_pool: Pool
) -> None:
    await store_arrivals(web_pool, [Arrival("stripe", "evt_1", "test", b"{}", b"0")])
    event_id = await db.fetchval("select id from fleet.inbox_events")
    await db.execute(
        "select fleet.set_event_aside($1, '53100', '53100: No space left on device', true)",
        event_id,
    )
    assert (await health_of(database)).attention == []
    await db.execute(
        "update fleet.set_aside_events set failing_since = failing_since - interval '16 minutes'"
    )
    (line,) = (await health_of(database)).attention
    assert line.startswith(f"event {event_id} (stripe) has been failing for 16 min: 53100: ")


@pytest.mark.usefixtures("at_work")
async def test_a_check_that_fails_is_shown_and_the_others_still_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing_at_all(context: CheckContext) -> list[Fault]:
        raise CoinfleetError("no such thing")

    async def find_something(context: CheckContext) -> list[Fault]:
        return [Fault("something", "something")]

    monkeypatch.setattr(status_checks, "CHECKS", (find_nothing_at_all, find_something))
    assert (await health_of(database)).attention == [
        *("find nothing at all: no such thing", "something")
    ]


@pytest.mark.usefixtures("at_work")
async def test_an_unreachable_queue_needs_a_person(database: Database) -> None:
    health = await health_of(database, "redis://127.0.0.1:1/0")
    assert health.queue.reachable is False
    assert "127.0.0.1:1" in str(health.queue.outage)
    assert len(health.attention) == 1
    assert "queue" in health.attention[0]


@pytest.mark.usefixtures("at_work")
async def test_a_queue_without_an_address_is_no_alarm(database: Database) -> None:
    health = await health_of(database)
    assert health.queue.reachable is None
    assert health.healthy


@pytest.mark.usefixtures("at_work")
async def test_an_unapplied_migration_needs_a_person(database: Database, db: Connection) -> None:
    await db.execute(
        "delete from fleet.schema_migrations"
        " where version = (select max(version) from fleet.schema_migrations)"
    )
    health = await health_of(database)
    assert not health.schema_current
    assert health.attention == ["the schema is not this release's: run `coinfleet migrate`"]


async def test_an_unreachable_database_is_reported_as_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await read_health(NOWHERE, None)


async def test_a_wrong_password_is_not_reported_as_an_unreachable_database(
    database: Database,
) -> None:
    with pytest.raises(DatabaseRefused, match="password"):
        await read_health(database.url().replace(":test@", ":wrong@"), None)


async def test_a_database_without_our_schema_asks_for_a_release(empty_database: Database) -> None:
    with pytest.raises(NotReleased, match="coinfleet migrate"):
        await read_health(empty_database.url(), None)
