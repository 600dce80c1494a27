"""Held purchases that nobody decides: reminders, and the rejection that the time brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from db.errors import refusal

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Expired:
    """A purchase that was rejected by expiry, or an event that was held without one."""

    purchase_id: int | None
    event_id: int | None


@dataclass(frozen=True, slots=True)
class Reminder:
    """A held payment of which half the time is over; a direct call's has no event."""

    event_id: int | None
    purchase_id: int | None
    reason: str
    expires_at: datetime


async def expire_hold(database: Pool | Connection) -> Expired | None:
    """Reject the next purchase or event that is held for too long; None if there is none.

    Raises Refused when somebody decided it at the same moment.
    """
    try:
        row = await database.fetchrow("select * from fleet.expire_hold()")
    except asyncpg.PostgresError as error:
        if refused := refusal(error):
            raise refused from error
        raise
    return Expired(**row) if row else None


async def remind_of_holds(database: Pool | Connection, *, limit: int) -> list[Reminder]:
    """Return up to `limit` held payments whose time is half over; each is returned once."""
    rows = await database.fetch("select * from fleet.remind_of_holds($1)", limit)
    return [Reminder(**row) for row in rows]
