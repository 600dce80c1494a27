"""The tasks of presence, as a worker runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from db import presence
from tasks.presence import remove_stale_viewers, update_publish_state
from tests.db.presence.audience import Audience
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


@pytest.fixture
def audience(db: Connection) -> Audience:
    """The viewers and streams of the test."""
    return Audience(db)


async def watch(audience: Audience, stream: int) -> None:
    """Add a viewer who watches the stream now."""
    await audience.db.execute(
        "insert into public.active_viewers"
        " (stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed)"
        " values ($1, $2, true, true, true, true)",
        stream,
        await audience.profile(),
    )


async def test_watched_streams_are_published_and_logged_once(
    audience: Audience, worker_pool: Pool
) -> None:
    stream = await audience.stream()
    await watch(audience, stream)
    with capture_logs() as lines:
        await update_publish_state(make_context(worker_pool))
        await update_publish_state(make_context(worker_pool))
    assert await audience.published() == {stream}
    assert [(line["event"], line["published"]) for line in lines] == [("streams_switched", 1)]


async def test_silent_viewers_are_removed_until_none_is_left(
    audience: Audience, worker_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await audience.stream()
    for _ in range(3):
        await watch(audience, stream)
    await audience.db.execute(
        "update public.active_viewers set last_active_at = now() - interval '61 s'"
    )
    monkeypatch.setattr(presence, "SWEEP_LIMIT", 2)
    await remove_stale_viewers(make_context(worker_pool))
    assert await audience.db.fetchval("select count(*) from public.active_viewers") == 0
