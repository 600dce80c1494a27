"""Statements of `coinfleet simulate`: it adds people and prices, and reads how its run ended.

They run as the schema's owner. They write users, streams and the price list, as an operator may,
and never a balance, a ledger entry or an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Pool


@dataclass(frozen=True, slots=True)
class PurchaseRules:
    """The limits for purchases that are in force."""

    limit_usd: Decimal
    approval_threshold_usd: Decimal
    per_minute: int


@dataclass(frozen=True, slots=True)
class Package:
    """A row of the price list, sold for US dollars."""

    sku: str
    coins: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class GiftType:
    """What a gift costs in coins, and the streamer's share of it in basis points."""

    code: str
    name: str
    coins: int
    streamer_share_bps: int


@dataclass(frozen=True, slots=True)
class EventEnd:
    """The state of an event of the run, with its reason."""

    provider_event_id: str
    state: str
    reason: str | None


async def purchase_rules(pool: Pool) -> PurchaseRules:
    """Read the limits for purchases that SQL applies."""
    row = await pool.fetchrow(
        "select purchase_limit_usd, approval_threshold_usd, purchases_per_minute"
        " from fleet.settings"
    )
    assert row is not None  # noqa: S101 - the migration puts the one row there, nobody deletes it
    return PurchaseRules(*row)


async def put_price_list(
    pool: Pool, packages: Sequence[Package], gift_types: Sequence[GiftType], *, provider: str
) -> None:
    """Add these to the price list, or correct their prices; `provider` sells the packages.

    All runs share them.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(
            "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
            " values ($1, $2, $3, $4) on conflict (provider, sku, currency) do update"
            " set coin_amount = excluded.coin_amount, amount_minor = excluded.amount_minor",
            [(provider, package.sku, package.coins, package.amount_minor) for package in packages],
        )
        await connection.executemany(
            "insert into public.gift_types (code, name, coin_cost, streamer_share_bps)"
            " values ($1, $2, $3, $4) on conflict (code) do update set active = true,"
            " coin_cost = excluded.coin_cost, streamer_share_bps = excluded.streamer_share_bps",
            [(kind.code, kind.name, kind.coins, kind.streamer_share_bps) for kind in gift_types],
        )


async def add_people(pool: Pool, usernames: Mapping[UUID, str]) -> None:
    """Sign up users, and name the profiles that the sign-up makes."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into auth.users (id) select unnest($1::uuid[])", list(usernames)
        )
        await connection.execute(
            "update public.profiles as p set username = u.username, display_name = u.username"
            " from unnest($1::uuid[], $2::text[]) as u (id, username) where p.id = u.id",
            list(usernames),
            list(usernames.values()),
        )


async def open_streams(pool: Pool, streamers: Sequence[UUID]) -> dict[UUID, int]:
    """Start a stream for each streamer; return the stream ids by streamer."""
    rows = await pool.fetch(
        "insert into public.live_streams (profile_id, title, live_available, started_at)"
        " select id, 'Simulated stream', true, clock_timestamp()"
        " from unnest($1::uuid[]) as s (id) returning profile_id, id",
        list(streamers),
    )
    return {row["profile_id"]: row["id"] for row in rows}


async def newest_event_id(pool: Pool) -> int:
    """Return the newest event's id: all events of a run that starts now have higher ones."""
    newest: int = await pool.fetchval("select coalesce(max(id), 0) from fleet.inbox_events")
    return newest


async def count_pending(
    pool: Pool, run: str, *, after_id: int, others: Sequence[str] = ()
) -> tuple[int, int]:
    """Return how many events of the run are stored, and how many of these are not settled.

    `others` are ids of its events that do not name it. An event that waits for a provider's answer
    is not settled.
    """
    row = await pool.fetchrow(
        "select count(*) as stored, count(*) filter"
        " (where state = 'pending' or (state = 'waiting' and reason = 'no_answer_yet')) as pending"
        " from fleet.inbox_events"
        " where id > $2 and (strpos(provider_event_id, $1) > 0 or provider_event_id = any($3))",
        run,
        after_id,
        list(others),
    )
    assert row is not None  # noqa: S101 - an aggregate always returns one row
    return row["stored"], row["pending"]


async def count_untold(pool: Pool) -> int:
    """Return how many messages the app has not taken yet and will be sent."""
    untold: int = await pool.fetchval(
        "select count(*) from fleet.provider_calls where kind = 'app.deliver' and state = 'pending'"
    )
    return untold


async def held_purchases(pool: Pool, people: Sequence[UUID]) -> list[tuple[int, str]]:
    """Return the purchases of these people that wait for a decision, as (id, provider)."""
    rows = await pool.fetch(
        "select id, provider from public.coin_purchases"
        " where profile_id = any($1) and granted_at is null and decision is null order by id",
        list(people),
    )
    return [(row["id"], row["provider"]) for row in rows]


async def event_ends(
    pool: Pool, run: str, *, after_id: int, others: Sequence[str] = ()
) -> list[EventEnd]:
    """Read the state of each event of the run, but for those whose id was unreadable.

    `others` are ids of its events that do not name it.
    """
    rows = await pool.fetch(
        "select provider_event_id, state, reason from fleet.inbox_events"
        " where id > $2 and (strpos(provider_event_id, $1) > 0 or provider_event_id = any($3))"
        " order by id",
        run,
        after_id,
        list(others),
    )
    return [EventEnd(*row) for row in rows]


async def balances(pool: Pool, people: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Return each person's balances as (coins, earnings)."""
    rows = await pool.fetch(
        "select id, coin_balance, earnings_balance from public.profiles where id = any($1)",
        list(people),
    )
    return {row["id"]: (row["coin_balance"], row["earnings_balance"]) for row in rows}
