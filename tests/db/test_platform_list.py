"""The platform's own test list (requirement H), item by item, under the names that it uses."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.errors import InsufficientCoins
from tests.db.books import APPLIED, NOON, Books, Outcome, Payment, gift
from tests.db.presence.audience import Audience

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

WATCHES = "select public.update_viewer_heartbeat($1, true, true, true, true)"
BUY = "select status from public.process_coin_purchase($1, 'apple', $2, $3, $4, $5)"


@pytest.mark.requirement("H1")
async def test_h1_duplicate_webhook_events_credit_once(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    for _ in range(3):
        await books.receive(payment.bought(buyer), ids=["evt_1"])
        await books.work()
    await books.apply(payment.bought(buyer))
    assert await books.coins(buyer) == 100


@pytest.mark.requirement("H2")
async def test_h2_concurrent_purchases_and_gifts_end_exact(books: Books, signed_in: SignIn) -> None:
    viewer, streamer = await books.profile(coins=50), await books.profile()
    app, backend = await signed_in(viewer), await signed_in(role="service_role")

    async def give() -> int:
        given = 0
        for no in range(40):
            try:
                await app.execute(
                    "select public.process_gift($1, 'rose', $2, 5)", streamer, str(no)
                )
                given += 5
            except asyncpg.PostgresError as error:
                if error.sqlstate != InsufficientCoins.sqlstate:
                    raise
        return given

    async def buy() -> int:
        for no in range(5):
            await backend.execute(BUY, viewer, f"evt_h2_{no}", f"pay_h2_{no}", 10, 1)
        return 50

    given, bought = await asyncio.gather(give(), buy())
    assert await books.coins(viewer) == 50 + bought - given
    assert given > 0


@pytest.mark.requirement("H3")
async def test_h3_viewers_join_and_leave(books: Books, signed_in: SignIn) -> None:
    one, other, owner = await books.profiles(3)
    stream = await live(books.db, owner)
    clients = [await signed_in(one), await signed_in(other)]
    seen = []
    for client in clients:
        await client.execute(WATCHES, stream)
        seen.append(await viewers(books.db, stream))
    for client in clients:
        await client.execute("delete from public.active_viewers")
        seen.append(await viewers(books.db, stream))
    assert seen == [1, 2, 1, 0]


@pytest.mark.requirement("H4")
async def test_h4_a_heartbeat_times_out_at_60_seconds(db: Connection) -> None:
    audience = Audience(db)
    viewer, stream = await audience.profile(), await audience.stream()
    await audience.heartbeat(viewer, stream, second=0)
    assert await audience.recompute(second=59.9) == {stream: True}
    assert await audience.sweep(second=59.9) == 0
    assert await audience.recompute(second=60) == {stream: False}
    assert await audience.sweep(second=60) == 1


@pytest.mark.requirement("H5")
async def test_h5_the_ledgers_sum_is_the_cached_balance(books: Books) -> None:
    viewer, streamer = await books.profile(coins=30), await books.profile()
    payment = Payment()
    await books.apply(payment.bought(viewer), gift(viewer, streamer, 60), payment.refund(50))
    sums = await books.db.fetch(
        """
        select coin_balance = coalesce(sum(amount) filter (where account = 'coins'), 0)
            and earnings_balance = coalesce(sum(amount) filter (where account = 'earnings'), 0)
        from public.profiles left join public.ledger_entries on profile_id = profiles.id
        group by profiles.id
        """
    )
    assert [row[0] for row in sums] == [True, True]
    assert (await books.coins(viewer), await books.earnings(streamer)) == (20, 42)


@pytest.mark.requirement("H6")
async def test_h6_a_purchase_of_25_000_dollars_and_more_is_exact(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(payment.worth(buyer, 25_000)) == APPLIED
    assert await books.coins(buyer) == 2_500_000
    assert (await books.purchase(payment))["usd_amount"] == 25_000
    over = Payment()
    assert await books.apply_one(over.worth(buyer, 25_001)) == Outcome("held", "needs_approval")
    assert await books.coins(buyer) == 2_500_000


@pytest.mark.requirement("H7")
async def test_h7_a_refund_and_a_chargeback_take_the_coins_back(books: Books) -> None:
    buyer = await books.profile()
    refunded, disputed = Payment(), Payment()
    await books.apply(refunded.bought(buyer), disputed.bought(buyer))
    await books.apply(refunded.refund(25), disputed.dispute(100, -100))
    assert await books.coins(buyer) == 75
    assert await books.status(refunded) == "confirmed"
    assert await books.status(disputed) == "chargeback"
    await books.apply_one(refunded.refund(75, "rest"))
    assert (await books.coins(buyer), await books.status(refunded)) == (0, "refunded")


@pytest.mark.requirement("H8")
@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_h8_row_level_security_as_each_role(
    books: Books, signed_in: SignIn, role: str
) -> None:
    me, _ = await books.profiles(2, coins=10)
    client = await signed_in(me, role=role)
    assert await client.fetchval("select count(*) from public.profiles") == 2
    if role == "anon":
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await client.execute("select from public.ledger_entries")
        return
    seen = await client.fetch("select distinct profile_id from public.ledger_entries")
    mine_only = {(me,)} == {tuple(row) for row in seen}
    assert mine_only == (role == "authenticated")


@pytest.mark.requirement("H9")
async def test_h9_the_sixth_purchase_in_a_minute_is_held(books: Books) -> None:
    buyer = await books.profile()
    outcomes = [
        await books.apply_one(Payment().bought(buyer, purchased_at=NOON + timedelta(seconds=no)))
        for no in range(6)
    ]
    assert outcomes == [APPLIED] * 5 + [Outcome("held", "velocity")]


@pytest.mark.requirement("H10")
async def test_h10_above_the_threshold_a_purchase_waits_for_approval(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    assert await backend.fetchval(BUY, buyer, "evt_h10", "pay_h10", 10, 25_001) == "pending"
    waiting = await books.db.fetchrow(
        "select requires_approval, hold_reason, decision from public.coin_purchases"
    )
    assert waiting is not None
    assert tuple(waiting) == (True, "needs_approval", None)
    assert await books.coins(buyer) == 0


@pytest.mark.requirement("H11")
async def test_h11_each_viewer_has_a_grid_of_their_own(books: Books, signed_in: SignIn) -> None:
    one, other, star, idol = await books.profiles(4)
    for viewer, streamer in ((one, star), (other, idol)):
        await (await signed_in(viewer)).execute(
            "insert into public.user_grid_slots (viewer_id, slot_index, streamer_id)"
            " values ($1, 1, $2)",
            viewer,
            streamer,
        )
    grids = "select slot_index, streamer_id from public.user_grid_slots"
    assert [tuple(row) for row in await (await signed_in(one)).fetch(grids)] == [(1, star)]
    assert [tuple(row) for row in await (await signed_in(other)).fetch(grids)] == [(1, idol)]


@pytest.mark.requirement("H12")
async def test_h12_a_stream_is_published_for_active_viewers_only(
    books: Books, signed_in: SignIn, connect: Connect
) -> None:
    viewer, owner = await books.profiles(2)
    stream = await live(books.db, owner)
    watching, worker = await signed_in(viewer), await connect("worker")
    published = []
    for statement in (
        "select public.update_viewer_heartbeat($1, true, true, true, false)",
        WATCHES,
        "delete from public.active_viewers where stream_id = $1",
    ):
        await watching.execute(statement, stream)
        await worker.execute("select public.update_publish_state_from_viewers()")
        published.append(await books.db.fetchval("select is_published from public.live_streams"))
    assert published == [False, True, False]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await (await signed_in(owner)).execute("update public.live_streams set is_published = true")


async def live(db: Connection, owner: UUID) -> int:
    """A stream whose camera is on."""
    stream_id: int = await db.fetchval(
        "insert into public.live_streams (profile_id, live_available) values ($1, true)"
        " returning id",
        owner,
    )
    return stream_id


async def viewers(db: Connection, stream_id: int) -> int:
    """The stream's count of its viewers."""
    count: int = await db.fetchval(
        "select active_viewer_count from public.live_streams where id = $1", stream_id
    )
    return count
