"""Which streams were switched of late, and lists that go on from an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.call_list import list_calls
from db.console.paging import PAGE_ROWS
from db.console.stream_list import list_changes, list_streams

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.db.presence.audience import Audience


async def test_a_recompute_notes_what_it_switched(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    await audience.heartbeat(viewer, stream)
    await audience.recompute()
    await audience.recompute(second=100)
    changes = await list_changes(audience.db, stream_id=stream)
    assert [(each.stream_id, each.is_published) for each in changes] == [
        (stream, False),
        (stream, True),
    ]
    assert await list_changes(audience.db) == changes
    await audience.db.execute("select fleet.trim_history($1)", changes[0].changed_at)
    assert len(await list_changes(audience.db)) == 2
    await audience.db.execute("select fleet.trim_history()")
    assert await list_changes(audience.db) == []


async def test_what_its_streamer_ends_is_noted_if_it_was_published(
    audience: Audience, viewer: UUID, stream: int
) -> None:
    switch = "update public.live_streams set live_available = $1 where id = $2"
    for is_on in (False, True, False, True):
        await audience.db.execute(switch, is_on, stream)
    assert await list_changes(audience.db, stream_id=stream) == []
    await audience.heartbeat(viewer, stream)
    await audience.recompute()
    await audience.db.execute(switch, False, stream)  # noqa: FBT003
    changes = await list_changes(audience.db, stream_id=stream)
    assert [each.is_published for each in changes] == [False, True]


async def test_pages_of_streams_and_calls_leave_none_out(db: Connection) -> None:
    await db.execute("insert into auth.users (id) values (gen_random_uuid())")
    rows = 2 * PAGE_ROWS + 1
    await db.execute(
        "insert into public.live_streams (profile_id)"
        " select id from auth.users, generate_series(1, $1)",
        rows,
    )
    await db.execute(
        "insert into fleet.provider_calls (kind, key) select 'stripe.refund', n::text"
        " from generate_series(1, $1) as n",
        rows,
    )
    streams, calls = set(), set()
    before = None
    for _ in range(3):
        page = await list_streams(db, before=before)
        streams |= {each.id for each in page.rows}
        before = page.before
    assert (len(streams), before) == (rows, None)
    for _ in range(3):
        found = await list_calls(db, state="pending", before=before)
        calls |= {each.id for each in found.rows}
        before = found.before
    assert (len(calls), before) == (rows, None)
