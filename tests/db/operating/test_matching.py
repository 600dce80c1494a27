"""Which events a filter of `coinfleet replay` means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db.operating.matching import INDEXED_STATES, STATES, Filter, find_events
from tests.db.books import NOON

if TYPE_CHECKING:
    from db.connections.pool import Connection

HOUR = timedelta(hours=1)
# Number, provider, type, state, reason, last error, hours after noon.
EVENTS = (
    (1, "stripe", "charge.refunded", "applied", None, None, 0),
    (2, "stripe", "charge.refunded", "rejected", "account_mismatch", "acct_1", 1),
    (3, "stripe", "charge.updated", "rejected", "account_mismatch", "acct_2", 2),
    (4, "app", "gift.sent", "rejected", "insufficient_coins", None, 3),
    (5, "app", "gift.sent", "dead", "failed", "XX000: acct_1", 4),
    (6, "stripe", "charge.updated", "pending", None, None, 5),
    (7, "stripe", "charge.updated", "waiting", "no_purchase_yet", None, 6),
    (8, "stripe", "charge.updated", "held", "no_fx_rate", None, 7),
    (9, "stripe", "charge.updated", "ignored", "not_ours", None, 8),
)


@pytest_asyncio.fixture
async def inbox(db: Connection) -> Connection:
    """An inbox with an event of each state, ten ids apart."""
    for no, provider, kind, state, reason, error, hours in EVENTS:
        await db.execute(
            "insert into fleet.inbox_events (id, provider, provider_event_id, event_type, payload,"
            " payload_sha256, state, reason, last_error, received_at, processed_at)"
            " overriding system value values ($1, $2, $3, $4, '', '', $5, $6, $7, $8, now())",
            10 * no,
            provider,
            f"evt_{no}",
            kind,
            state,
            reason,
            error,
            NOON + hours * HOUR,
        )
    return db


async def found(connection: Connection, **wanted: Any) -> list[int]:
    """The numbers of the events that a filter means, found in steps of 20 ids."""
    matches = [
        match
        async for step in find_events(connection, Filter(**wanted), step_ids=20)
        for match in step.found
    ]
    assert len(matches) == len(set(matches))
    return sorted(match.event_id // 10 for match in matches)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"states": ["dead"]}, [5]),
        ({"states": ["rejected"]}, [2, 3, 4]),
        ({"states": ["rejected", "held"]}, [2, 3, 4, 8]),
        ({"reasons": ["account_mismatch"]}, [2, 3]),
        ({"reasons": ["account_mismatch", "failed"]}, [2, 3, 5]),
        ({"providers": ["app"]}, [4, 5]),
        ({"types": ["charge.refunded"]}, [1, 2]),
        ({"error": "acct_1"}, [2]),
        ({"since": NOON + 3 * HOUR, "until": NOON + 5 * HOUR}, [4, 5]),
        ({"since": NOON + 3 * HOUR, "states": ["rejected"]}, [4]),
        ({"ids": [30, 4_000], "names": ["evt_5", "nothing"]}, [3, 5]),
        ({"ids": [30], "names": ["evt_5", "evt_3"], "states": ["rejected"]}, [3]),
        ({"ids": [], "names": ["evt_9"]}, [9]),
        ({"states": ["rejected"], "reasons": ["failed"]}, []),
    ],
)
async def test_a_filter_means_what_meets_all_of_it(
    inbox: Connection, wanted: dict[str, Any], expected: list[int]
) -> None:
    assert await found(inbox, **wanted) == expected


@pytest.mark.parametrize("state", STATES)
async def test_each_state_is_found(inbox: Connection, state: str) -> None:
    assert await found(inbox, states=[state]) == [no for no, *rest in EVENTS if rest[2] == state]


async def test_an_event_without_its_payload_says_so(inbox: Connection) -> None:
    await inbox.execute("update fleet.inbox_events set payload = null where id = 50")
    [step] = [step async for step in find_events(inbox, Filter(states=["dead"]))]
    assert [match.has_payload for match in step.found] == [False]


async def test_the_walk_ends_where_all_is_older(inbox: Connection) -> None:
    await inbox.execute(
        "update fleet.inbox_events set received_at = received_at - interval '3 days' where id < 40"
    )
    steps = [
        step
        async for step in find_events(inbox, Filter(states=["rejected"], since=NOON), step_ids=10)
    ]
    assert [match.event_id for step in steps for match in step.found] == [40]
    # Ids 81 to 90, and so on down to 21 to 30, the first that are older; 11 to 20 are not read.
    assert [step.done for step in steps] == [0, 1, 2, 3, 4, 5, 6, 7]


async def test_an_empty_inbox_has_no_event(db: Connection) -> None:
    assert await found(db) == []


def test_each_state_with_an_index_of_its_own_is_a_state() -> None:
    assert set(INDEXED_STATES) < set(STATES)
