"""A list of payments for a person: each a purchase, the newest first, in pages of bounded cost.

As the list of events: a page goes on from an id, looks at LOOKED_AT_MAX rows at
most, of the buyer or of the index of its state if there is one, and says how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from db.console.paging import (
    BEYOND_ALL,
    LOOKED_AT_MAX,
    PAGE_ROWS,
    Listing,
    Page,
    first_id_from,
    read_page,
)

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Connection, Pool


State = Literal["held", "confirmed", "refunded", "chargeback", "reversed"]
STATES: tuple[State, ...] = get_args(State)
# What an index holds, word for word; then what is left to be looked at.
_HELD = (
    "p.granted_at is null and p.status = 'pending' and (p.decision is null or p.refund_requested)"
)
_REVERSED = "(p.refunded_coins > 0 or p.status in ('refunded', 'chargeback'))"
_INDEXED: dict[State, str] = {
    "held": _HELD,
    "refunded": _REVERSED,
    "chargeback": _REVERSED,
    "reversed": _REVERSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """Which payments; None stands for any. `reversed`: some of its coins were taken back.

    `since` and `until` are of when it came, `until` not included.
    """

    state: State | None = None
    provider: str | None = None
    profile_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment of the list."""

    id: int
    payment_id: int
    profile_id: UUID
    provider: str
    provider_payment_id: str
    sku: str | None
    coin_amount: int
    refunded_coins: int
    amount: Decimal | None
    currency: str | None
    status: str
    hold_reason: str | None
    decision: str | None
    created_at: datetime


async def list_payments(
    database: Pool | Connection, wanted: PaymentFilter, *, before: int | None = None
) -> Page[ListedPayment]:
    """Return the newest payments that match and have a smaller id than `before`."""
    start = BEYOND_ALL if before is None else before
    if wanted.until is not None:
        start = min(start, await first_id_from(database, "public.coin_purchases", wanted.until))
    status = wanted.state if wanted.state in ("confirmed", "refunded", "chargeback") else None
    is_of_one = wanted.profile_id is not None
    queries = [query(wanted.state, is_of_one=is_of_one) for query in (page_query, bound_query)]
    return await read_page(
        database,
        Listing(ListedPayment, *queries),
        start,
        wanted.provider,
        wanted.profile_id,
        wanted.since,
        wanted.until,
        status,
        since=wanted.since,
        bounded_by=(wanted.profile_id,) if is_of_one else (),
    )


def page_query(state: State | None, *, is_of_one: bool = False) -> str:
    """Return the query of a page: $1 is where it begins, the others are the filter.

    With `is_of_one` it reads the payments of the buyer $3 alone, which are few.
    """
    # Inside, the newest rows of the buyer, of the state's index, or of all; outside, the filter.
    return f"""
        select
            w.id, w.payment_id, w.profile_id, w.provider, w.provider_payment_id, w.sku,
            w.coin_amount, w.refunded_coins, fleet.major_amount(w.amount_minor, w.currency),
            w.currency, w.status, w.hold_reason, w.decision, w.created_at
        from (
            select
                p.id, p.payment_id, p.profile_id, p.provider, p.provider_payment_id, p.sku,
                p.coin_amount, p.refunded_coins, p.amount_minor, p.currency, p.status,
                p.hold_reason, p.decision, p.created_at
            from public.coin_purchases as p
            where p.id < $1{_of_state(state)}{" and p.profile_id = $3" if is_of_one else ""}
            order by p.id desc
            limit {LOOKED_AT_MAX}
        ) as w
        where ($2::text is null or w.provider = $2)
            and ($3::uuid is null or w.profile_id = $3)
            and ($4::timestamptz is null or w.created_at >= $4)
            and ($5::timestamptz is null or w.created_at < $5)
            and ($6::text is null or w.status = $6)
        order by w.id desc
        limit {PAGE_ROWS + 1}
    """  # noqa: S608 - constants of this module


def bound_query(state: State | None, *, is_of_one: bool = False) -> str:
    """Return the query of the last payment that a page looks at, if there are older ones.

    $1 is where the page begins, $2 the buyer if it reads of one alone.
    """
    of_one = " and p.profile_id = $2" if is_of_one else ""
    return (
        "select p.id, p.created_at from public.coin_purchases as p"  # noqa: S608 - as above
        f" where p.id < $1{_of_state(state)}{of_one} order by p.id desc"
        f" offset {LOOKED_AT_MAX - 1} limit 1"
    )


def _of_state(state: State | None) -> str:
    return f" and {_INDEXED[state]}" if state in _INDEXED else ""
