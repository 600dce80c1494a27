"""What `coinfleet status` and `/metrics` say of missed events."""

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


async def read_until(db: Connection, ago: str, **changes: str) -> int:
    """Write that Stripe's history was read until then; gives the reading's number."""
    columns = {"provider": "'stripe'", "missed": "0", "failing_since": "null", "last_error": "null"}
    row = columns | changes
    backfill_id: int = await db.fetchval(
        f"insert into fleet.backfills (is_scheduled, from_at, to_at, reached_at, worker,"
        f" started_at, {', '.join(row)}) values (true, now(), now(), now() - interval '{ago}',"
        f" 'test', now(), {', '.join(row.values())}) returning id"
    )
    return backfill_id


async def miss(db: Connection, backfill_id: int, event_type: str, ago: str) -> None:
    """Write that an event was missed, and found so long ago."""
    event_id = await db.fetchval(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, processed_at)"
        " values ('stripe', gen_random_uuid(), 'x', '{}', '', 'ignored', 'not_ours', now())"
        " returning id"
    )
    await db.execute(
        "insert into fleet.found_events (event_id, backfill_id, provider, event_type, made_at,"
        f" found_at, is_missed) select $1, b.id, b.provider, $3, now(), now() - interval '{ago}',"
        " true from fleet.backfills as b where b.id = $2",
        event_id,
        backfill_id,
        event_type,
    )


async def test_events_that_no_webhook_brought_need_a_person_for_a_day(
    database: Database, db: Connection
) -> None:
    reading = await read_until(db, "5 minutes", missed="4")
    await miss(db, reading, "refund.updated", "25 hours")
    assert (await health_of(database)).healthy
    await miss(db, reading, "refund.updated", "2 hours")
    await miss(db, reading, "charge.refunded", "3 hours")
    await miss(db, reading, "refund.updated", "10 minutes")
    health = await health_of(database)
    assert health.attention == [
        (
            "missed: 3 events of stripe within a day that no webhook brought (refund.updated 2,"
            " charge.refunded 1), the newest found 10 min ago: they are stored now, but find out"
            " why: are these types sent here, and was `web` up?"
        )
    ]
    (history,) = health.histories
    assert (history.provider, history.missed) == ("stripe", 4)


async def test_a_history_that_is_not_read_for_a_day_needs_a_person(
    database: Database, db: Connection
) -> None:
    await read_until(db, "23 hours")
    await read_until(db, "2 days", provider="'apple'")
    await read_until(
        db, "3 days", provider="'google'", failing_since="now()", last_error="'403 unknown'"
    )
    assert (await health_of(database)).attention == [
        (
            f"the history of {provider} is read only up to {ago} ago ({why}):"
            " missed events are not found"
        )
        for provider, ago, why in (
            ("apple", "2 d", "no worker reads it"),
            ("google", "3 d", "403 unknown"),
        )
    ]


async def test_metrics_tell_how_many_were_missed_and_how_far_it_is_read(
    db: Connection, web_pool: Pool
) -> None:
    reading = await read_until(db, "5 minutes", missed="4")
    await miss(db, reading, "refund.updated", "1 hour")
    metrics = FleetMetrics()
    metrics.signs = await read_vital_signs(web_pool, timeout_s=5)
    found = {
        sample.name: (sample.labels, sample.value)
        for family in metrics.collect()
        for sample in family.samples
    }
    of_stripe = {"provider": "stripe"}
    assert found["coinfleet_missed_events_found_total"] == (of_stripe, 4)
    assert 3_600 <= found["coinfleet_missed_event_age_seconds"][1] < 3_700
    assert 300 <= found["coinfleet_history_age_seconds"][1] < 400
