"""Follows, and the follower count that a trigger keeps (requirement E)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.conditions import somebody_waits_for_a_lock
from tests.db.books import Books, gift

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("E followers")

FOLLOW = "insert into public.follows (follower_id, followee_id) select unnest($1::uuid[]), $2"
FOLLOW_ALL = "insert into public.follows (follower_id, followee_id) select $1, unnest($2::uuid[])"
ROUNDS = 20


async def followers(books: Books, profile_id: UUID) -> int:
    """The profile's count of its followers."""
    count: int = await books.db.fetchval(
        "select follower_count from public.profiles where id = $1", profile_id
    )
    return count


async def test_a_follow_counts_and_an_unfollow_counts_no_more(books: Books) -> None:
    fan, star = await books.profiles(2)
    await books.db.execute(FOLLOW, [fan], star)
    assert await followers(books, star) == 1
    assert await followers(books, fan) == 0
    await books.db.execute("delete from public.follows")
    assert await followers(books, star) == 0


async def test_a_statement_writes_each_profile_once(books: Books) -> None:
    star, *fans = await books.profiles(6)
    updates = "select pg_stat_get_xact_tuples_updated('public.profiles'::regclass)"
    async with books.db.transaction():
        before = await books.db.fetchval(updates)
        await books.db.execute(FOLLOW, fans, star)
        assert await books.db.fetchval(updates) == before + 1
    assert await followers(books, star) == 5


async def test_a_second_follow_of_the_same_counts_nothing(books: Books) -> None:
    fan, star = await books.profiles(2)
    for _ in range(2):
        await books.db.execute(f"{FOLLOW} on conflict do nothing", [fan], star)
    assert await followers(books, star) == 1


async def test_a_follow_that_moves_takes_its_count_along(books: Books) -> None:
    fan, other, old, new = await books.profiles(4)
    await books.db.execute(FOLLOW, [fan, other], old)
    move = "update public.follows set followee_id = $1 where follower_id = $2"
    await books.db.execute(move, new, fan)
    assert (await followers(books, old), await followers(books, new)) == (1, 1)


async def test_a_follow_that_stays_writes_no_profile(books: Books) -> None:
    fan, star = await books.profiles(2)
    await books.db.execute(FOLLOW, [fan], star)
    before = await books.db.fetch("select ctid from public.profiles order by id")
    await books.db.execute("update public.follows set created_at = now()")
    assert await books.db.fetch("select ctid from public.profiles order by id") == before


async def test_nobody_follows_themselves(books: Books) -> None:
    fan = await books.profile()
    with pytest.raises(asyncpg.CheckViolationError):
        await books.db.execute(FOLLOW, [fan], fan)


async def test_a_client_follows_and_the_count_is_the_triggers(
    books: Books, signed_in: SignIn
) -> None:
    fan, star = await books.profiles(2)
    client = await signed_in(fan)
    await client.execute(FOLLOW, [fan], star)
    assert await followers(books, star) == 1
    await client.execute("delete from public.follows")
    assert await followers(books, star) == 0


async def follow_and_unfollow(db: Connection, fan: UUID, stars: Sequence[UUID]) -> None:
    """Follow all of them in one statement, and unfollow them in another, again and again."""
    for _ in range(ROUNDS):
        await db.execute(FOLLOW_ALL, fan, stars)
        await db.execute("delete from public.follows where follower_id = $1", fan)
    await db.execute(FOLLOW_ALL, fan, stars)


async def test_follows_in_opposite_order_never_deadlock(books: Books, connect: Connect) -> None:
    one, other, *stars = await books.profiles(22)
    await asyncio.gather(
        follow_and_unfollow(await connect(), one, stars),
        follow_and_unfollow(await connect(), other, stars[::-1]),
    )
    assert {await followers(books, star) for star in stars} == {2}


async def test_follows_and_gifts_of_the_same_people_never_deadlock(
    books: Books, connect: Connect
) -> None:
    fan, *people = await books.profiles(8, coins=1_000)

    async def give_to_each_other() -> None:
        for no in range(ROUNDS):
            ring = people if no % 2 else people[::-1]
            await books.apply(*(gift(one, ring[no - 1]) for no, one in enumerate(ring)))

    await asyncio.gather(
        give_to_each_other(), follow_and_unfollow(await connect(), fan, people[::-1])
    )
    assert {await followers(books, profile) for profile in people} == {1}


async def test_follows_lock_their_profiles_in_id_order(books: Books, connect: Connect) -> None:
    fan, low, high = sorted(await books.profiles(3))
    lock = "select 1 from public.profiles where id = $1 for no key update"
    holder, other = await connect(), await connect()
    async with holder.transaction():
        await holder.execute(lock, low)
        following = asyncio.create_task(books.db.execute(FOLLOW_ALL, fan, [high, low]))
        await somebody_waits_for_a_lock(other)
        await other.execute(f"{lock} nowait", high)
    await following
    assert (await followers(books, low), await followers(books, high)) == (1, 1)


async def test_a_follow_waits_for_the_batch_that_pays_the_same_streamer(
    books: Books, connect: Connect
) -> None:
    sender, star = await books.profile(coins=10), await books.profile()
    batch = Books(await connect())
    await books.receive(gift(sender, star, 10))
    async with batch.db.transaction():
        batch.now = books.now
        await batch.work()
        following = asyncio.create_task(books.db.execute(FOLLOW, [sender], star))
        await somebody_waits_for_a_lock(batch.db)
    await following
    assert (await followers(books, star), await books.earnings(star)) == (1, 7)
