"""Open disputes for a person: the first deadline first, those without one last.

A page goes on from a deadline and costs as much as is open, which is little of what ever was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Connection, Pool

PAGE_ROWS = 50
# Its provider looks at what was answered; whatever else is open waits for an answer.
UNDER_REVIEW = ("under_review", "warning_under_review")
_PLACE = "(coalesce(d.due_at, 'infinity'), d.provider, d.dispute_id)"

PAGE = f"""
    select
        d.provider, d.dispute_id, d.payment_id, d.status, d.due_at,
        extract(epoch from d.due_at - clock_timestamp())::float8 as ends_in_s,
        fleet.major_amount(d.amount_minor, coalesce(d.currency, p.currency)) as amount,
        coalesce(d.currency, p.currency) as currency, d.told_at, p.id as purchase_id,
        p.profile_id, p.coin_amount, p.refunded_coins
    from fleet.disputes as d
    left join lateral (
        select q.id, q.currency, q.profile_id, q.coin_amount, q.refunded_coins
        from public.coin_purchases as q
        where q.payment_id = d.payment_id
        order by q.granted_at is null, q.id
        limit 1
    ) as p on true
    where coalesce(d.status, '') not in ('won', 'lost', 'prevented', 'warning_closed')
        and (coalesce(d.status, '') = any($1::text[])) = $2::boolean
        and ($3::text is null or {_PLACE} > ($3::text::timestamptz, $4::text, $5::text))
    order by coalesce(d.due_at, 'infinity'), d.provider, d.dispute_id
    limit {PAGE_ROWS + 1}
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class OpenDispute:
    """A dispute that its provider has not closed, with the first of its payment's purchases."""

    provider: str
    dispute_id: str
    payment_id: int
    status: str | None
    due_at: datetime | None
    ends_in_s: float | None
    amount: Decimal | None
    currency: str | None
    told_at: datetime | None
    purchase_id: int | None
    profile_id: UUID | None
    coin_amount: int | None
    refunded_coins: int | None

    @property
    def place(self) -> tuple[str, str, str]:
        """Where the list goes on after it."""
        due = "infinity" if self.due_at is None else self.due_at.isoformat()
        return due, self.provider, self.dispute_id


async def list_disputes(
    database: Pool | Connection,
    *,
    is_reviewed: bool,
    after: tuple[str, str, str] | None = None,
) -> list[OpenDispute]:
    """Return up to PAGE_ROWS + 1 open disputes: those under review, or those to be answered."""
    rows = await database.fetch(
        PAGE, list(UNDER_REVIEW), is_reviewed, *(after or (None, None, None))
    )
    return [OpenDispute(*row) for row in rows]
