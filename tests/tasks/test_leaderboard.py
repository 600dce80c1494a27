"""The task of the leaderboard, as a worker runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.leaderboard import refresh_leaderboard
from tests.db.books import PRICE_LIST, Books
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import SignIn

pytestmark = pytest.mark.requirement("D6")


async def test_boards_get_new_gifts_and_recent_coins_lose_old_ones(
    db: Connection, worker_pool: Pool, signed_in: SignIn
) -> None:
    await db.execute(PRICE_LIST)
    books = Books(db)
    sender, streamer = await books.profile(coins=10), await books.profile()
    stream = await db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    client = await signed_in(sender)
    await client.execute("select public.process_gift($1, 'rose', 'key', 4, $2)", streamer, stream)
    await refresh_leaderboard(make_context(worker_pool))
    boards = await db.fetch("select distinct profile_id, coins from public.leaderboard_cache")
    assert {tuple(row) for row in boards} == {(sender, 4), (streamer, 4)}
    assert await db.fetchval("select recent_gift_coins from public.live_streams") == 4

    await db.execute("update public.gifts set created_at = now() - interval '1 hour'")
    await db.execute(
        "update fleet.recent_gifts_horizon set counted_from = now() - interval '5 hours'"
    )
    await refresh_leaderboard(make_context(worker_pool))
    assert await db.fetchval("select recent_gift_coins from public.live_streams") == 0


async def test_a_stopping_worker_begins_no_refresh(worker_pool: Pool) -> None:
    context = make_context(worker_pool)
    context.stopping.set()
    await refresh_leaderboard(context)
    assert await worker_pool.fetchval("select 1") == 1
