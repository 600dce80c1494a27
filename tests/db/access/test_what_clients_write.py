"""Chat, links and grids as clients write them through Supabase's API (requirements B3, B5)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from tests.db.presence.audience import Audience

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import SignIn

pytestmark = pytest.mark.requirement("B3", "F")

SAY = "insert into public.chat_messages (stream_id, profile_id, body) values ($1, $2, $3)"
LINK = (
    "insert into public.user_links (profile_id, position, label, url) values ($1, $2, 'Home', $3)"
    " on conflict (profile_id, position) do update set label = excluded.label, url = excluded.url"
)
PUT = (
    "insert into public.user_grid_slots (viewer_id, slot_index, streamer_id) values ($1, $2, $3)"
    " on conflict (viewer_id, slot_index) do update set streamer_id = excluded.streamer_id"
)


@pytest.fixture
def audience(db: Connection) -> Audience:
    """Viewers and streams."""
    return Audience(db)


async def test_a_message_is_read_by_everyone(audience: Audience, signed_in: SignIn) -> None:
    speaker, stream = await audience.profile(), await audience.stream()
    await (await signed_in(speaker)).execute(SAY, stream, speaker, "Hello")
    anonymous = await signed_in(role="anon")
    heard = await anonymous.fetchrow("select profile_id, body from public.chat_messages")
    assert heard is not None
    assert tuple(heard) == (speaker, "Hello")


@pytest.mark.parametrize("body", ["", " \n\t", "x" * 2_001])
async def test_a_message_is_neither_empty_nor_too_long(
    audience: Audience, signed_in: SignIn, body: str
) -> None:
    speaker, stream = await audience.profile(), await audience.stream()
    with pytest.raises(asyncpg.CheckViolationError):
        await (await signed_in(speaker)).execute(SAY, stream, speaker, body)


async def test_messages_go_with_their_stream(audience: Audience) -> None:
    speaker, stream = await audience.profile(), await audience.stream()
    await audience.db.execute(SAY, stream, speaker, "Hello")
    await audience.db.execute("delete from public.live_streams")
    assert await audience.db.fetchval("select count(*) from public.chat_messages") == 0


async def test_links_swap_positions_in_one_statement(audience: Audience, signed_in: SignIn) -> None:
    me = await audience.profile()
    client = await signed_in(me)
    await client.execute(LINK, me, 0, "https://one.example")
    await client.execute(LINK, me, 1, "https://two.example")
    await client.execute(
        "insert into public.user_links (profile_id, position, label, url)"
        " select profile_id, 1 - position, label, url from public.user_links"
        " on conflict (profile_id, position) do update set url = excluded.url"
    )
    links = await client.fetch("select url from public.user_links order by position")
    assert [row["url"] for row in links] == ["https://two.example", "https://one.example"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://a b",
        "ftp://example.org",
        "\nhttps://example.org",
        "https://example.org/" + "x" * 2_048,
    ],
)
async def test_a_link_has_a_web_address(audience: Audience, signed_in: SignIn, url: str) -> None:
    me = await audience.profile()
    with pytest.raises(asyncpg.CheckViolationError):
        await (await signed_in(me)).execute(LINK, me, 0, url)


async def grid(client: Connection) -> dict[int, UUID]:
    """What a client sees of grids."""
    rows = await client.fetch("select slot_index, streamer_id from public.user_grid_slots")
    return {row["slot_index"]: row["streamer_id"] for row in rows}


@pytest.mark.requirement("B5", "H11")
async def test_each_viewer_has_a_grid_of_their_own(audience: Audience, signed_in: SignIn) -> None:
    one, other, star, idol = [await audience.profile() for _ in range(4)]
    here, there = await signed_in(one), await signed_in(other)
    await here.execute(PUT, one, 1, star)
    await there.execute(PUT, other, 1, idol)
    await here.execute(PUT, one, 12, idol)
    assert await grid(here) == {1: star, 12: idol}
    assert await grid(there) == {1: idol}
    await there.execute("delete from public.user_grid_slots")
    assert await grid(here) == {1: star, 12: idol}


@pytest.mark.requirement("B5")
async def test_a_slot_takes_another_streamer(audience: Audience, signed_in: SignIn) -> None:
    viewer, star, idol = [await audience.profile() for _ in range(3)]
    client = await signed_in(viewer)
    await client.execute(PUT, viewer, 3, star)
    await client.execute(PUT, viewer, 3, idol)
    await client.execute("update public.user_grid_slots set is_pinned = true, is_muted = true")
    assert await grid(client) == {3: idol}


@pytest.mark.requirement("B5", "H11")
@pytest.mark.parametrize("slot", [-1, 0, 13])
async def test_a_grid_has_slots_1_to_12(audience: Audience, signed_in: SignIn, slot: int) -> None:
    viewer = await audience.profile()
    with pytest.raises(asyncpg.CheckViolationError):
        await (await signed_in(viewer)).execute(PUT, viewer, slot, viewer)


async def test_a_profile_shows_what_its_owner_says(audience: Audience, signed_in: SignIn) -> None:
    me, other = await audience.profile(), await audience.profile()
    await (await signed_in(me)).execute("update public.profiles set display_name = 'Me'")
    shown = await audience.db.fetch("select id from public.profiles where display_name = 'Me'")
    assert [row["id"] for row in shown] == [me]
    assert other != me


@pytest.mark.requirement("E live")
async def test_an_owner_switches_their_stream_and_no_other(
    audience: Audience, signed_in: SignIn
) -> None:
    mine, other = await audience.stream(live_available=False), await audience.stream()
    me = await audience.db.fetchval(
        "select profile_id from public.live_streams where id = $1", mine
    )
    client = await signed_in(me)
    await client.execute("update public.live_streams set live_available = not live_available")
    rows = await client.fetch("select live_available from public.live_streams order by id")
    assert [row["live_available"] for row in rows] == [True, True]
    assert mine < other
