"""Frozen purchases: what a person may look at and release, and those that time releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from db.approvals.decisions import DecisionRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen purchase; `sources` are what freezes it, each with the provider's id.

    `ends_at` is None unless it ends by itself.
    """

    purchase_id: int
    profile_id: UUID
    provider: str
    provider_payment_id: str
    coins: int
    sources: Sequence[str]
    opened_at: datetime
    ends_at: datetime | None
    age_s: float


@dataclass(frozen=True, slots=True)
class Released:
    """What a person released, nothing if nothing was frozen, and how many coins that were."""

    purchase_id: int
    released: Sequence[str]
    coins: int


async def read_frozen(connection: Connection, *, limit: int) -> list[Frozen]:
    """Return the purchases that are frozen, the longest frozen first."""
    rows = await connection.fetch(
        "select f.*, extract(epoch from clock_timestamp() - f.opened_at)::float8 as age_s"
        " from fleet.open_freezes($1) as f",
        limit,
    )
    return [Frozen(**row) for row in rows]


async def read_sources(connection: Connection, purchase_id: int) -> Sequence[str]:
    """Return what freezes a purchase, each with the provider's id; nothing if nothing does."""
    sources: Sequence[str] | None = await connection.fetchval(
        "select f.sources from fleet.open_freezes(null) as f where f.purchase_id = $1", purchase_id
    )
    return sources or ()


async def release(
    connection: Connection,
    purchase_id: int,
    *,
    reason: str,
    typed_by: str,
    who: str | None = None,
) -> Released:
    """Release a purchase as the person whose session this is, or as `who`.

    See public.release_coin_purchase.

    Raises DecisionRefused if there is no such purchase.
    """
    try:
        row = await connection.fetchrow(
            "select purchase_id, released, coins::bigint as coins"
            " from public.release_coin_purchase($1, coalesce($4, session_user::text), $2, $3)",
            purchase_id,
            reason,
            typed_by,
            who,
        )
    except asyncpg.InvalidParameterValueError as error:
        raise DecisionRefused(str(error)) from error
    assert row is not None  # noqa: S101 -- or it had been refused
    return Released(**row)


async def expire_freezes(database: Pool | Connection, *, limit: int) -> int:
    """Release up to `limit` early fraud warnings that are 120 days old; return how many."""
    expired: int = await database.fetchval("select fleet.expire_freezes($1)", limit)
    return expired


async def mend_freezes(database: Pool | Connection, *, limit: int) -> int:
    """Make freezes what their inquiries and purchases say; return of how many payments.

    Only a release that brings the freezes while older workers are at work leaves any.
    """
    mended: int = await database.fetchval("select fleet.mend_freezes($1)", limit)
    return mended
