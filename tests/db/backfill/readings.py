"""Readings of a provider's history as a process makes them; time is that of the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

    from db.connections.pool import Connection
    from tests.db.books import Books

HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)
# Younger events are left to their webhooks.
YOUNG = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Readings:
    """What processes do with histories."""

    books: Books

    async def begin(
        self, since: datetime | None = None, *, provider: str = "stripe", worker: str = "one"
    ) -> asyncpg.Record:
        """Begin to read, or go on."""
        row = await begin(
            self.books.db, self.books.now, since=since, provider=provider, worker=worker
        )
        assert row is not None
        return row

    async def store(
        self,
        reading: asyncpg.Record,
        *event_ids: str,
        minutes_old: int | None = 60,
        cursor: str | None = "next",
        reaches: datetime | None = None,
    ) -> tuple[int, int, int] | None:
        """Store a page of events of this age; gives found, missed and seen."""
        row = await store(
            self.books.db,
            self.books.now,
            reading,
            *event_ids,
            minutes_old=minutes_old,
            cursor=cursor,
            reaches=reaches,
        )
        return None if row is None else (row["found"], row["missed"], row["seen"])

    async def finish(self, reading: asyncpg.Record) -> bool:
        """End the pass."""
        is_ours: bool = await self.books.db.fetchval(
            "select fleet.finish_backfill($1, $2, $3)",
            reading["id"],
            reading["attempt"],
            self.books.now,
        )
        return is_ours

    async def fail(
        self, reading: asyncpg.Record, error: str = "503", *, from_the_beginning: bool = False
    ) -> float | None:
        """Note a failure; gives for how long it has been failing."""
        failing_s: float | None = await self.books.db.fetchval(
            "select fleet.fail_backfill($1, $2, $3, $4, $5)",
            reading["id"],
            reading["attempt"],
            error,
            from_the_beginning,
            self.books.now,
        )
        return failing_s

    async def read_all(self, *event_ids: str, **page: Any) -> tuple[int, int, int] | None:
        """Make a pass of the timetable of one page, which reaches to now."""
        reading = await self.begin()
        counts = await self.store(reading, *event_ids, **{"reaches": self.books.now} | page)
        await self.finish(reading)
        return counts

    async def run_for_long(self) -> None:
        """Let the fleet be there for a month; all is read until 15 minutes ago."""
        now = self.books.now
        self.books.wait(days=-31)
        await self.read_all()
        self.books.now = now
        await self.read_all()

    async def row(self, reading: asyncpg.Record) -> asyncpg.Record:
        """What is kept of it."""
        row = await self.books.db.fetchrow(
            "select * from fleet.backfills where id = $1", reading["id"]
        )
        assert row is not None
        return row

    async def watermark(self) -> datetime | None:
        """How far the timetable has read."""
        at: datetime | None = await self.books.db.fetchval(
            "select reached_at from fleet.backfills where is_scheduled and provider = 'stripe'"
        )
        return at


async def begin(
    connection: Connection,
    now: datetime,
    *,
    since: datetime | None = None,
    provider: str = "stripe",
    worker: str = "one",
) -> asyncpg.Record | None:
    """Begin to read on this connection."""
    return await connection.fetchrow(
        "select * from fleet.begin_backfill($1, $2, $3, $4, $5, $6)",
        provider,
        worker,
        HOUR,
        MONTH,
        since,
        now,
    )


async def store(
    connection: Connection,
    now: datetime,
    reading: asyncpg.Record,
    *event_ids: str,
    minutes_old: int | None = 60,
    cursor: str | None = "next",
    reaches: datetime | None = None,
) -> asyncpg.Record | None:
    """Store a page on this connection."""
    bodies = [event_id.encode() for event_id in event_ids]
    made_at = None if minutes_old is None else now - timedelta(minutes=minutes_old)
    return await connection.fetchrow(
        "select * from fleet.store_found_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        reading["id"],
        reading["attempt"],
        list(event_ids),
        ["refund.updated"] * len(event_ids),
        bodies,
        [sha256(body).digest() for body in bodies],
        ["rejected" if "malformed" in event_id else "pending" for event_id in event_ids],
        ["malformed" if "malformed" in event_id else None for event_id in event_ids],
        [made_at] * len(event_ids),
        cursor,
        reaches or reading["from_at"],
        now,
    )
