"""Viewers and streams for tests of presence, with heartbeats at times that the test chooses."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.conftest import Connect

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
FLAGS = ("is_active", "is_unmuted", "is_visible", "is_subscribed")
WATCH = (
    "insert into public.active_viewers"
    " (stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed)"
    " select unnest($1::bigint[]), $2, true, true, true, true"
)
HEARTBEAT = "select public.update_viewer_heartbeat($1, true, true, true, true)"


def at(seconds: float) -> datetime:
    """The time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def entry(viewer: object, stream_id: object, **flags: object) -> dict[str, object]:
    """Return a gateway's entry for a viewer: all four flags are set except those set by name."""
    return {"stream_id": stream_id, "viewer_id": str(viewer), **dict.fromkeys(FLAGS, True), **flags}


@dataclass(frozen=True, slots=True)
class Audience:
    """Calls the internal functions, which take the time as a parameter."""

    db: Connection

    async def profile(self) -> UUID:
        """Sign somebody up."""
        profile_id = uuid4()
        await self.db.execute("insert into auth.users (id) values ($1)", profile_id)
        return profile_id

    async def stream(self, *, live_available: bool = True) -> int:
        """Start a stream of a new profile."""
        stream_id: int = await self.db.fetchval(
            "insert into public.live_streams (profile_id, live_available) values ($1, $2)"
            " returning id",
            await self.profile(),
            live_available,
        )
        return stream_id

    async def heartbeat(
        self,
        viewer: UUID,
        stream_id: int,
        *,
        second: float = 0,
        tab: str | None = None,
        **off: bool,
    ) -> None:
        """Send a heartbeat: all four flags are set except those set to False by name."""
        flags = (off.get(flag, True) for flag in FLAGS)
        if tab is None:
            beat = "select fleet.record_heartbeat($1, $2, $3, $4, $5, $6, $7)"
            await self.db.execute(beat, viewer, stream_id, *flags, at(second))
        else:
            beat = "select fleet.record_tab_heartbeat($1, $2, $3, $4, $5, $6, $7, $8)"
            await self.db.execute(beat, viewer, stream_id, *flags, tab, at(second))

    async def gateway_call(
        self, *entries: object, second: float = 0
    ) -> list[tuple[int | None, UUID | None, str]]:
        """Call as a gateway does; return the entries that can't be noted, with the reason."""
        rows = await self.db.fetch(
            "select stream_id, viewer_id, reason from fleet.record_heartbeats($1, $2)",
            json.dumps(entries),
            at(second),
        )
        return [tuple(row) for row in rows]

    async def recompute(self, *, second: float = 0) -> dict[int, bool]:
        """Recompute; return the streams that changed, with their new state."""
        rows = await self.db.fetch(
            "select stream_id, is_published from fleet.recompute_publish_state($1)", at(second)
        )
        return {row["stream_id"]: row["is_published"] for row in rows}

    async def sweep(self, *, second: float = 0) -> int:
        """Sweep; return how many viewers were removed."""
        removed: int = await self.db.fetchval("select fleet.sweep_viewers($1)", at(second))
        return removed

    async def published(self) -> set[int]:
        """The streams that are published."""
        rows = await self.db.fetch("select id from public.live_streams where is_published")
        return {row["id"] for row in rows}


@asynccontextmanager
async def streams_locked(connect: Connect) -> AsyncIterator[None]:
    """Lock every stream's row while the block runs, as a large batch or a sweep does."""
    holder = await connect()
    async with holder.transaction():
        await holder.execute("select 1 from public.live_streams for no key update")
        yield
