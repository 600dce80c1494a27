"""A viewer who has one stream open in several tabs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from tests.db.presence.audience import FLAGS, Audience, entry

ROW = f"""
select {", ".join(FLAGS)}, last_active_at, activated_at, tabs
from public.active_viewers where stream_id = $1 and viewer_id = $2
"""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A viewer's tabs on a stream; heartbeats come one by one or through a gateway."""

    audience: Audience
    id: UUID
    stream: int
    by_gateway: bool

    async def beat(self, tab: str | None, *, second: float, **off: bool) -> None:
        """Send a heartbeat of one tab."""
        if self.by_gateway:
            beat = entry(self.id, self.stream, tab=tab, **off)
            assert await self.audience.gateway_call(beat, second=second) == []
        else:
            await self.audience.heartbeat(self.id, self.stream, second=second, tab=tab, **off)

    async def row(self) -> asyncpg.Record:
        found = await self.audience.db.fetchrow(ROW, self.stream, self.id)
        assert found is not None
        return found

    async def is_watching(self) -> bool:
        row = await self.row()
        assert (row["activated_at"] is not None) == all(row[flag] for flag in FLAGS)
        return row["activated_at"] is not None
