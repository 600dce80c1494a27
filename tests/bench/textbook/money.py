"""One event, one transaction: what the textbook does with a purchase and with a gift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.facts import Gift, Purchase
from db.inbox.batches import ClaimedEvent, EventId

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.inbox.arrivals import Arrival


async def store(pool: Pool, arrival: Arrival) -> int | None:
    """Store an event; return its id, or None if it was stored before."""
    event_id: int | None = await pool.fetchval(
        "insert into textbook.events (provider, provider_event_id, event_type, payload)"
        " values ($1, $2, $3, $4) on conflict do nothing returning id",
        arrival.provider,
        arrival.provider_event_id,
        arrival.event_type,
        arrival.payload,
    )
    return event_id


async def process(pool: Pool, event_id: int, interpret: Callable[[ClaimedEvent], Fact]) -> None:
    """Apply one event, unless it was applied before."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "select provider, provider_event_id, event_type, payload, received_at, 0 as attempts"
            " from textbook.events where id = $1 and status = 'pending' for update",
            event_id,
        )
        if row is None:
            return
        event = ClaimedEvent(EventId(event_id), *row)
        match interpret(event):
            case Purchase() as purchase:
                status = await _buy(connection, event, purchase)
            case Gift() as gift:
                status = await _give(connection, event, gift)
            case _:
                status = "ignored"
        await connection.execute(
            "update textbook.events set status = $2, processed_at = now() where id = $1",
            event_id,
            status,
        )


async def _buy(connection: Connection, event: ClaimedEvent, purchase: Purchase) -> str:
    package = await connection.fetchrow(
        "select coins from textbook.coin_packages"
        " where sku = $1 and amount_minor = $2 and currency = $3",
        purchase.sku,
        purchase.amount_minor,
        purchase.currency,
    )
    if package is None:
        return "rejected"
    new = await connection.fetchval(
        "insert into textbook.purchases (provider_payment_id, profile_id, coins, amount_minor)"
        " values ($1, $2, $3, $4) on conflict (provider_payment_id) do nothing returning id",
        purchase.provider_payment_id,
        purchase.profile_id,
        package["coins"],
        purchase.amount_minor,
    )
    if new is None:
        return "duplicate"
    balance = await connection.fetchval(
        "update textbook.profiles set coin_balance = coin_balance + $2"
        " where id = $1 returning coin_balance",
        purchase.profile_id,
        package["coins"],
    )
    await _post(
        connection,
        event,
        (purchase.profile_id, "coins", package["coins"], balance),
        (None, "coins_issued", -package["coins"], None),
    )
    return "applied"


async def _give(connection: Connection, event: ClaimedEvent, gift: Gift) -> str:
    gift_type = await connection.fetchrow(
        "select coin_cost, streamer_share_bps from textbook.gift_types where code = $1",
        gift.gift_type,
    )
    if gift_type is None:
        return "rejected"
    rows = await connection.fetch(
        "select id, coin_balance from textbook.profiles"
        " where id = any($1) order by id for no key update",
        [gift.sender_id, gift.recipient_id],
    )
    balances: dict[UUID, int] = {row["id"]: row["coin_balance"] for row in rows}
    coins = gift_type["coin_cost"] * gift.quantity
    share = coins * gift_type["streamer_share_bps"] // 10_000
    if gift.recipient_id not in balances or balances.get(gift.sender_id, 0) < coins:
        return "rejected"
    await connection.execute(
        "insert into textbook.gifts"
        " (provider_event_id, sender_id, recipient_id, gift_type, coins)"
        " values ($1, $2, $3, $4, $5)",
        event.provider_event_id,
        gift.sender_id,
        gift.recipient_id,
        gift.gift_type,
        coins,
    )
    balance = await connection.fetchval(
        "update textbook.profiles set coin_balance = coin_balance - $2"
        " where id = $1 returning coin_balance",
        gift.sender_id,
        coins,
    )
    earnings = await connection.fetchval(
        "update textbook.profiles set earnings_balance = earnings_balance + $2"
        " where id = $1 returning earnings_balance",
        gift.recipient_id,
        share,
    )
    await _post(
        connection,
        event,
        (gift.sender_id, "coins", -coins, balance),
        (gift.recipient_id, "earnings", share, earnings),
        (None, "platform_revenue", coins - share, None),
    )
    return "applied"


async def _post(
    connection: Connection,
    event: ClaimedEvent,
    *entries: tuple[UUID | None, str, int, int | None],
) -> None:
    profile_ids, accounts, amounts, balances = zip(*entries, strict=True)
    await connection.execute(
        "insert into textbook.ledger_entries (event_id, profile_id, account, amount, balance_after)"
        " select $1, e.* from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[]) as e",
        event.id,
        profile_ids,
        accounts,
        amounts,
        balances,
    )
