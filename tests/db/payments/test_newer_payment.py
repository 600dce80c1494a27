"""What is known of one payment under two names is joined: order and repetition change nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from db.connections.pool import Connection

# Few values, so that many are equal or missing.
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
TIMES = (NOON, NOON + timedelta(seconds=1))
CURRENCIES = ("eur", "usd")
ACCOUNTS = 200

JOIN = """
select n.*
from fleet.newer_payment(
    jsonb_populate_record(null::fleet.payments, $1), jsonb_populate_record(null::fleet.payments, $2)
) as n
"""


def account(chance: random.Random) -> dict[str, Any]:
    """What may be known of a payment by one name: each part is complete or absent."""
    told: dict[str, Any] = {"id": 1, "is_foreign": chance.random() < 0.5, "refund_total_minor": 0}
    if chance.random() < 0.7:
        told |= {"refund_total_minor": chance.randrange(3)}
    if told["refund_total_minor"] and chance.random() < 0.7:
        told |= {"refund_total_at": chance.choice(TIMES)}
    if chance.random() < 0.7:
        told |= {"uncaptured_minor": chance.randrange(3), "uncaptured_at": chance.choice(TIMES)}
    if chance.random() < 0.7:
        # An event names one amount in one currency, and is held for one reason.
        event = chance.randrange(4)
        told |= {"held_event_id": event, "held_minor": event % 2}
        told |= {"held_currency": CURRENCIES[event % 2], "held_reason": f"reason {event}"}
    if chance.random() < 0.7:
        told |= {"charge_minor": chance.randrange(3), "charge_currency": "usd"}
    if chance.random() < 0.7:
        told |= {"total_minor": chance.randrange(1, 3), "total_currency": chance.choice(CURRENCIES)}
        told |= {"total_told_by": chance.choice(("intent", "session"))}
    return told


def as_json(told: Any) -> str:
    """Return a row in the form that the database reads; dates are in ISO 8601."""
    return msgspec.json.encode(dict(told)).decode()


async def joined(db: Connection, *accounts: Any) -> Any:
    """Join what is known from left to right."""
    known: Any = accounts[0]
    for told in accounts[1:]:
        known = await db.fetchrow(JOIN, as_json(known), as_json(told))
    return known


async def test_any_order_and_any_repetition_end_the_same(db: Connection) -> None:
    chance = random.Random(7)
    for _ in range(ACCOUNTS):
        one, two, three = (account(chance) for _ in range(3))
        end = await joined(db, one, two, three)
        assert await joined(db, three, two, one) == end
        assert await joined(db, two, three, one) == end
        assert await joined(db, one, await joined(db, two, three)) == end
        assert await joined(db, end, one, two, end) == end
