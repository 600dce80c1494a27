"""What `coinfleet status` says of stores' questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.health.vital_signs import read_vital_signs
from tests.workers.cli.status.questions import health_of
from workers.receiving.fleet_metrics import FleetMetrics

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")


async def ask(db: Connection, inquiry_id: str, ends_in: str, *, is_sandbox: bool = False) -> None:
    """Write that Apple asked eleven hours before its deadline."""
    event_id = await db.fetchval(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, processed_at)"
        " values ('apple', gen_random_uuid(), 'CONSUMPTION_REQUEST', '{}', '', 'applied', now())"
        " returning id"
    )
    await db.execute(
        "insert into fleet.store_inquiries"
        " (provider, inquiry_id, event_id, store_app, asked_at, deadline, is_sandbox)"
        " values ('apple', $1, $2, 'app', now() + $3::text::interval - interval '11 hours',"
        " now() + $3::text::interval, $4)",
        inquiry_id,
        event_id,
        ends_in,
        is_sandbox,
    )


async def test_an_open_question_is_told_with_its_age_and_deadline(
    db: Connection, database: Database
) -> None:
    await ask(db, "over", "-1 minute")
    await ask(db, "sandbox", "1 hour", is_sandbox=True)
    assert "asks about" not in str(await health_of(database))
    await ask(db, "later", "10 hours 30 minutes")
    await ask(db, "first", "2 hours 30 minutes")
    found = str(await health_of(database))
    number = await db.fetchval("select id from fleet.store_inquiries where inquiry_id = 'first'")
    assert f"apple asks about 2 refunds: the first (question {number}) was asked 9 h" in found
    assert "ends in 2 h" in found
    assert "coinfleet purchases inquiries" in found


async def test_what_answers_itself_needs_nobody(db: Connection, database: Database) -> None:
    await ask(db, "known", "3 hours")
    await db.execute("select fleet.configure_consent(true)")
    # Nobody knows its purchase, so nothing can be said.
    assert "asks about 1 refund" in str(await health_of(database))
    await db.execute(
        "with k as (insert into fleet.payment_keys (provider, key, payment_id)"
        " values ('apple', 'known', 7) returning payment_id) insert into fleet.store_payments"
        " (payment_id, provider, store_app, provider_payment_id, told_at)"
        " select payment_id, 'apple', 'app', 'known', now() from k;"
        "update fleet.store_inquiries set payment_key = inquiry_id"
    )
    assert "asks about" not in str(await health_of(database))


async def test_an_answer_that_came_too_late_is_told_for_a_day(
    db: Connection, database: Database
) -> None:
    for name, ended in (("late", "-1 hour"), ("older", "-25 hours"), ("good", "-2 hours")):
        await ask(db, name, ended)
        await db.execute(
            "insert into fleet.provider_calls (kind, key, request, state, result, finished_at)"
            " values ('apple.answer_consumption', 'coinfleet:consumption:' || $1, '{}', 'done',"
            " $2, now())",
            name,
            '{"answered": "DECLINE"}' if name == "good" else '{"note": "too_late"}',
        )
    number = await db.fetchval("select id from fleet.store_inquiries where inquiry_id = 'late'")
    found = str(await health_of(database))
    assert "apple was not answered in time about 1 refund within a day" in found
    assert f"the last: question {number}" in found


async def test_a_question_that_nobody_answered_is_told_for_a_day(
    db: Connection, database: Database
) -> None:
    # Nobody may answer Apple without consent, nor of what nobody knows.
    await ask(db, "of Apple", "-1 hour")
    assert "not answered" not in str(await health_of(database))
    await db.execute("select fleet.configure_consent(true)")
    assert "not answered" not in str(await health_of(database))
    for name, ended in (("forgotten", "-1 hour"), ("older", "-25 hours"), ("open", "1 hour")):
        await ask(db, name, ended)
        await db.execute(
            "update fleet.store_inquiries set provider = 'google', payment_key = $1"
            " where inquiry_id = $1",
            name,
        )
    number = await db.fetchval(
        "select id from fleet.store_inquiries where inquiry_id = 'forgotten'"
    )
    found = str(await health_of(database))
    assert (
        f"google was not answered in time about 1 refund within a day, the last: question {number}"
        in found
    )
    # What went back meanwhile needed no answer.
    await db.execute(
        "with k as (insert into fleet.payment_keys (provider, key, payment_id)"
        " values ('google', 'forgotten', 8) returning payment_id) insert into fleet.store_payments"
        " (payment_id, provider, store_app, provider_payment_id, told_at, reversed_milli_percent)"
        " select payment_id, 'google', 'app', 'forgotten', now(), 100000 from k"
    )
    assert "not answered" not in str(await health_of(database))


async def test_metrics_count_what_is_open_and_until_when(db: Connection, web_pool: Pool) -> None:
    await ask(db, "sandbox", "1 hour", is_sandbox=True)
    await ask(db, "later", "10 hours")
    await ask(db, "first", "2 hours")
    signs = await read_vital_signs(web_pool, timeout_s=5)
    (count,) = signs.inquiries
    assert (count.provider, count.inquiries) == ("apple", 2)
    assert count.ends_in_s == pytest.approx(7_200, abs=60)
    metrics = FleetMetrics()
    metrics.signs = signs
    found = {
        (sample.name, sample.labels.get("provider")): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }
    assert found["coinfleet_store_inquiries", "apple"] == 2
    assert found["coinfleet_store_inquiry_ends_seconds", "apple"] == count.ends_in_s
