"""What is held, for a person: the longest held first, in pages that go on from a moment.

A page finds its place among what is held, and looks closely only at what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from db.approvals.decisions import Decision, Held

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool

PAGE_ROWS = 50
_COLUMNS = ", ".join(f"h.{name}" for name in Held.__slots__ if name != "age_s")
# The place of a row: of one moment, the event's and the purchase's number.
_PLACE = "(h.held_since, coalesce(h.event_id, 0), coalesce(h.purchase_id, 0))"


@dataclass(frozen=True, slots=True)
class HeldPage:
    """A page. `following` is where the next one begins; None if nothing is left.

    `expires_after` is the time after which what nobody decides is rejected, if it ever is.
    """

    held: list[Held]
    following: tuple[datetime, int, int] | None
    expires_after: timedelta | None


async def list_held(
    database: Pool | Connection,
    *,
    reason: str | None = None,
    after: tuple[datetime, int, int] | None = None,
) -> HeldPage:
    """Return what waits for a person or for its refund, from the place `after` on."""
    rows = await database.fetch(
        f"select {_COLUMNS},"  # noqa: S608 -- names of ours
        " extract(epoch from clock_timestamp() - h.held_since)::float8 as age_s"
        " from fleet.held_page($1, $2, $3, $4, $5) as h"
        f" order by {_PLACE}",
        reason,
        *(after or (None, None, None)),
        PAGE_ROWS + 1,
    )
    held = [Held(**row) for row in rows[:PAGE_ROWS]]
    days = await database.fetchval("select s.hold_expires_days from fleet.settings as s")
    following = None
    if len(rows) > PAGE_ROWS:
        last = held[-1]
        following = (last.held_since, last.event_id or 0, last.purchase_id or 0)
    return HeldPage(held, following, None if days is None else timedelta(days=days))


async def read_held_event(database: Pool | Connection, event_id: int) -> Held | None:
    """Return what is held without a purchase, by its event; None if it is held no more."""
    row = await database.fetchrow(
        f"select {_COLUMNS},"  # noqa: S608 -- as above
        " extract(epoch from clock_timestamp() - h.held_since)::float8 as age_s"
        " from fleet.held_page(null, null, null, null, 2, p_event_id => $1) as h"
        " where h.purchase_id is null",
        event_id,
    )
    return Held(**row) if row else None


async def read_event_state(
    database: Pool | Connection, event_id: int
) -> tuple[str, int | None, int | None] | None:
    """Return an event's state, its payment and the purchase that it made; None if there is none."""
    row = await database.fetchrow(
        "select e.state, k.payment_id, p.id from fleet.inbox_events as e"
        " left join public.coin_purchases as p"
        " on p.provider = e.provider and p.provider_event_id = e.provider_event_id"
        " left join lateral (select n.payment_id from fleet.payment_keys as n"
        " where n.payment_id = e.payment_id limit 1) as k on true"
        " where e.id = $1",
        event_id,
    )
    return (row[0], row[1], row[2]) if row else None


async def read_event_decisions(database: Pool | Connection, event_id: int) -> list[Decision]:
    """Return what people decided about an event that is held without a purchase, in order."""
    rows = await database.fetch(
        "select d.verb, d.outcome, d.who, d.reason, d.coins, d.decided_at"
        " from fleet.decisions as d where d.event_id = $1 order by d.id",
        event_id,
    )
    return [Decision(**row) for row in rows]
