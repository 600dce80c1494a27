"""A profile's statement: what it has, and the entries of one account, the newest first.

A page goes on from an entry's number, so that no entry is shown twice or left out while others are
added. It looks at LOOKED_AT_MAX entries at most, and says how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from db.console.paging import BEYOND_ALL, LOOKED_AT_MAX, PAGE_ROWS, Page, place_after
from db.operating.subjects import shorten

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from db.connections.pool import Connection, Pool


Account = Literal["coins", "earnings"]
ACCOUNTS: tuple[Account, ...] = get_args(Account)
# Why an entry is made; entries of older platforms may have others.
KINDS = ("purchase", "gift", "refund", "chargeback", "reinstatement", "adjustment")


@dataclass(frozen=True, slots=True)
class Holder:
    """A profile's balances; `frozen` are coins that can't be spent now.

    `erased_at` is of a person who was erased: nobody is there any more who could spend them.
    """

    profile_id: UUID
    coin_balance: int
    earnings_balance: int
    frozen: int
    total_purchased: int
    total_spent: int
    created_at: datetime
    erased_at: datetime | None

    @property
    def spendable(self) -> int:
        """The coins that can be spent now."""
        return max(self.coin_balance - self.frozen, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries of an account; None stands for any. `since` is included, `until` is not."""

    account: Account = "coins"
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the balance after it. `who` and `why` are of a person's correction."""

    seq: int
    created_at: datetime
    kind: str
    amount: int
    balance_after: int
    key: str
    transaction_id: int
    who: str | None
    why: str | None

    @property
    def shown_key(self) -> str:
        """The key without what may be a secret token."""
        return shorten(self.key)


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's correction of a balance."""

    amount: int
    who: str
    at: datetime


# $1 profile, $2 account, $3 where it begins, $4 and on the filter, $7 the number of rows. Inside,
# the newest entries of the account; outside, the filter; then what a person said of a correction.
PAGE = f"""
    select
        e.seq, e.created_at, e.reason, e.amount, e.balance_after, e.idempotency_key,
        e.transaction_id, j.who, j.reason
    from (
        select *
        from (
            select
                l.seq, l.created_at, l.reason, l.amount, l.balance_after, l.idempotency_key,
                l.transaction_id
            from public.ledger_entries as l
            where l.profile_id = $1 and l.account = $2 and l.seq < $3
            order by l.seq desc
            limit {LOOKED_AT_MAX}
        ) as w
        where ($4::text is null or w.reason = $4)
            and ($5::timestamptz is null or w.created_at >= $5)
            and ($6::timestamptz is null or w.created_at < $6)
        order by w.seq desc
        limit $7
    ) as e
    left join lateral (
        select a.who, a.reason
        from fleet.adjustments as a
        where a.idempotency_key = e.idempotency_key
        limit 1
    ) as j on true
    order by e.seq desc
"""  # noqa: S608 - constants of this module
BOUND = (
    "select l.seq, l.created_at from public.ledger_entries as l"  # noqa: S608 - as above
    " where l.profile_id = $1 and l.account = $2 and l.seq < $3"
    f" order by l.seq desc offset {LOOKED_AT_MAX - 1} limit 1"
)


async def read_holder(database: Pool | Connection, profile_id: UUID) -> Holder | None:
    """Return what a profile has; None if there is none."""
    row = await database.fetchrow(
        "select p.id, p.coin_balance, p.earnings_balance,"
        " coalesce((select sum(f.coins) from fleet.frozen_coins(array[p.id]) as f), 0)::bigint,"
        " p.total_purchased, p.total_spent, p.created_at,"
        " (select max(x.erased_at) from fleet.erasures as x where x.profile_id = p.id)"
        " from public.profiles as p where p.id = $1",
        profile_id,
    )
    return Holder(*row) if row else None


async def read_erased_at(connection: Connection, profile_id: UUID) -> datetime | None:
    """Return when this person was erased; None if not."""
    found: datetime | None = await connection.fetchval(
        "select max(x.erased_at) from fleet.erasures as x where x.profile_id = $1", profile_id
    )
    return found


async def read_correction(
    database: Pool | Connection, profile_id: UUID, key: str
) -> Correction | None:
    """Return the correction of a profile's balance that has this key; None if there is none."""
    row = await database.fetchrow(
        "select a.amount, a.who, a.adjusted_at from fleet.adjustments as a"
        " where a.idempotency_key = $1 and a.profile_id = $2",
        key,
        profile_id,
    )
    return Correction(*row) if row else None


async def list_entries(
    database: Pool | Connection,
    profile_id: UUID,
    wanted: EntryFilter,
    *,
    before: int | None = None,
    rows_max: int = PAGE_ROWS,
) -> Page[Entry]:
    """Return the newest entries that match and have a smaller number than `before`."""
    start = BEYOND_ALL if before is None else before
    if wanted.until is not None and before is None:
        start = await _first_seq_from(database, profile_id, wanted.account, wanted.until)
    account = (profile_id, wanted.account, start)
    rows = await database.fetch(
        PAGE, *account, wanted.kind, wanted.since, wanted.until, rows_max + 1
    )
    entries = [Entry(*row) for row in rows[:rows_max]]
    if len(rows) > rows_max:
        return Page(entries, entries[-1].seq, is_full=True)
    last = await database.fetchrow(BOUND, *account)
    return Page(entries, place_after(last, since=wanted.since), is_full=False)


async def _first_seq_from(
    database: Pool | Connection, profile_id: UUID, account: Account, at: datetime
) -> int:
    """Return the number of the first entry of this time or later: they are numbered in order.

    The numbers have no gaps, so they are halved again and again.
    """
    newest = await database.fetchval(
        "select max(seq) from public.ledger_entries where profile_id = $1 and account = $2",
        profile_id,
        account,
    )
    low, high = 0, int(newest or 0)
    while low < high:
        middle = (low + high + 1) // 2
        came_at = await database.fetchval(
            "select created_at from public.ledger_entries"
            " where profile_id = $1 and account = $2 and seq = $3",
            profile_id,
            account,
            middle,
        )
        if came_at is None or came_at < at:
            low = middle
        else:
            high = middle - 1
    return low + 1
