"""What is known of one payment under two names is joined: order and repetition change nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

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
    if chance.random() < 0.5:
        told |= {"rejection": chance.choice(("refund", "no_refund"))}
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


def held(minor: int | None, event: int) -> dict[str, Any]:
    return {"held_minor": minor, "held_event_id": event, "held_reason": f"reason {event}"}


def refunded(minor: int, at: datetime | None) -> dict[str, Any]:
    return {"refund_total_minor": minor, "refund_total_at": at}


def uncaptured(minor: int, at: datetime) -> dict[str, Any]:
    return {"uncaptured_minor": minor, "uncaptured_at": at}


def charged(minor: int, told_by: str) -> dict[str, Any]:
    return {"total_minor": minor, "total_currency": "usd", "total_told_by": told_by}


@pytest.mark.parametrize(
    ("stays", "other"),
    [
        # The newest total; of one second the larger; one without a time is the oldest.
        (refunded(1, TIMES[1]), refunded(2, TIMES[0])),
        (refunded(2, NOON), refunded(1, NOON)),
        (refunded(1, NOON), refunded(2, None)),
        # More is captured as time goes on.
        (uncaptured(2, TIMES[1]), uncaptured(1, TIMES[0])),
        (uncaptured(1, NOON), uncaptured(2, NOON)),
        # The larger amount that is held; of one amount the first event; a store tells none.
        (held(2, 9), held(1, 3)),
        (held(2, 3), held(2, 9)),
        (held(1, 9), held(None, 3)),
        (held(None, 3), held(None, 9)),
        # The intent's total, then the larger one.
        (charged(1, "intent"), charged(2, "session")),
        (charged(2, "session"), charged(1, "session")),
        ({"charge_minor": 2, "charge_currency": "usd"}, {"charge_minor": 1}),
        # What is not ours by one name is not ours; a refund was asked for, whoever asked for none.
        ({"is_foreign": True}, {"is_foreign": False}),
        ({"rejection": "refund"}, {"rejection": "no_refund"}),
        ({"rejection": "no_refund"}, {}),
    ],
)
async def test_of_two_that_differ_the_rule_says_which_stays(
    db: Connection, stays: dict[str, Any], other: dict[str, Any]
) -> None:
    whole = {"id": 1, "is_foreign": False, "refund_total_minor": 0}
    for known, told in ((stays, other), (other, stays)):
        end = await joined(db, whole | known, whole | told)
        assert {name: end[name] for name in stays} == stays
