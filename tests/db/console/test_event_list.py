"""Lists of events in the console: what a filter means, page by page, and no event twice."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db.console import event_list
from db.console.event_list import EventFilter, list_events
from tests.db.books import NOON

if TYPE_CHECKING:
    from db.connections.pool import Connection

STATES = ("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
EVENTS = 140


def an_event(no: int) -> dict[str, Any]:
    """Event number `no`: of each kind some, one per minute."""
    state = STATES[no % 7]
    return {
        "id": 3 * no,
        "provider": ("stripe", "app", "apple")[no % 3],
        "event_type": ("charge.refunded", "gift.sent")[no % 2],
        "state": state,
        "reason": None if state in ("pending", "applied") else ("why", "because")[no // 7 % 2],
        "received_at": NOON + no * timedelta(minutes=1),
    }


ALL = [an_event(no) for no in range(1, EVENTS + 1)]


@pytest_asyncio.fixture
async def inbox(db: Connection) -> Connection:
    """An inbox with those events."""
    await db.executemany(
        "insert into fleet.inbox_events (id, provider, provider_event_id, event_type,"
        " payload_sha256, state, reason, received_at, processed_at) overriding system value"
        " values ($1::bigint, $2, 'evt_' || $1::bigint, $3, '', $4, $5, $6, now())",
        [tuple(event.values()) for event in ALL],
    )
    return db


async def walk(connection: Connection, wanted: EventFilter) -> list[int]:
    """The ids of all pages, one page after the other."""
    found, before = [], None
    for _ in range(50):
        page = await list_events(connection, wanted, before=before)
        found += [event.id for event in page.rows]
        if page.before is None:
            return found
        assert before is None or page.before < before
        before = page.before
    raise AssertionError("the pages do not end")


def meant(**wanted: Any) -> list[int]:
    """The ids that a filter means, by the words of its description."""
    since, until = wanted.pop("since", None), wanted.pop("until", None)
    return [
        event["id"]
        for event in reversed(ALL)
        if all(event[name] == value for name, value in wanted.items())
        and (since is None or event["received_at"] >= since)
        and (until is None or event["received_at"] < until)
    ]


@pytest.mark.parametrize("looked_at", [20_000, 25])
async def test_pages_hold_what_the_filter_means_the_newest_first_and_once(
    inbox: Connection, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    monkeypatch.setattr(event_list, "LOOKED_AT_MAX", looked_at)
    for state, provider in product((None, *STATES), (None, "stripe")):
        wanted = {"state": state, "provider": provider}
        given = {name: value for name, value in wanted.items() if value is not None}
        assert await walk(inbox, EventFilter(**given)) == meant(**given), given
    for given in ({"event_type": "gift.sent"}, {"reason": "why"}, {"provider": "nobody"}):
        assert await walk(inbox, EventFilter(**given)) == meant(**given), given


@pytest.mark.parametrize("minutes", [(0, 200), (30, 90), (31, 32), (200, 300), (-10, 0)])
async def test_since_is_included_and_until_is_not(
    inbox: Connection, minutes: tuple[int, int]
) -> None:
    since, until = (NOON + timedelta(minutes=each) for each in minutes)
    found = await walk(inbox, EventFilter(since=since, until=until))
    assert found == meant(since=since, until=until)


async def test_events_that_come_meanwhile_move_nothing(inbox: Connection) -> None:
    first = await list_events(inbox, EventFilter())
    await inbox.execute(
        "insert into fleet.inbox_events (id, provider, provider_event_id, event_type,"
        " payload_sha256) overriding system value values (9999, 'app', 'new', 'x', '')"
    )
    second = await list_events(inbox, EventFilter(), before=first.before)
    ids = [event.id for event in (*first.rows, *second.rows)]
    assert ids == [event["id"] for event in reversed(ALL)][:100]


async def test_an_empty_inbox_has_an_empty_page(db: Connection) -> None:
    for wanted in (EventFilter(), EventFilter(until=NOON), EventFilter(state="dead")):
        page = await list_events(db, wanted)
        assert (page.rows, page.before) == ([], None)
