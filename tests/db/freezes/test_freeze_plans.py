"""Freezes at any size: a gift looks at what is frozen of its sender, and at no history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.books import APPLIED, SHORT, Books, Payment, gift
from tests.db.freezes.freezing import LATER, bought
from tests.db.plans import indexes, plan, statement

if TYPE_CHECKING:
    from db.connections.pool import Connection

# Of many rows a batch of a few events may read so many.
FEW = 300
READ = """
select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
from pg_stat_xact_user_tables
where relname in ('freezes', 'frozen_purchases', 'coin_purchases')
"""
# Each old purchase of one buyer was reviewed and released; each tenth of another is frozen.
HISTORY = """
insert into public.coin_purchases (
    id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, status, purchased_at, granted_at
)
select
    1000000 + n, 1000000 + n, case when n % 10 = 0 then $2::uuid else $1::uuid end, 'stripe',
    'old-' || n, 'old-' || n, 100, 100, 'usd', 'confirmed', now(), now()
from generate_series(1, 20000) as n;
"""
FREEZES = """
insert into fleet.freezes (
    provider, source, source_id, payment_id, opened_at, told_at, is_open, released_at, released_by
)
select
    'stripe', 'review', 'prv_old' || n, 1000000 + n, now(), now(), n % 10 = 0,
    case when n % 10 > 0 then now() end, case when n % 10 > 0 then 'review' end
from generate_series(1, 20000) as n
"""
FROZEN = """
insert into fleet.frozen_purchases
select id, profile_id from public.coin_purchases where id > 1000000 and id % 10 = 0
"""


async def test_a_gift_and_a_freeze_read_nothing_of_others(db: Connection) -> None:
    books = Books(db)
    await db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('rose', 'Rose', 1);"
        " insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'coins_100', 100, 100)"
    )
    released, other, friend = await books.profiles(3)
    await db.execute(HISTORY, released, other)
    await db.execute(FREEZES)
    await db.execute(FROZEN)
    # Tests that were rolled back may have left the statistics of tables without rows.
    await db.execute("analyze")
    payment = Payment()
    buyer = await bought(books, payment)
    await books.adjust(released, 10)
    before = await db.fetchval(READ)
    assert await books.apply(payment.review(), gift(released, friend)) == [APPLIED, APPLIED]
    assert await books.apply_one(gift(buyer, friend)) == SHORT
    assert await books.apply_one(payment.review(is_open=False, told_at=LATER)) == APPLIED
    # The guard of gifts reads the first frozen purchase at most.
    assert await db.fetchval(READ) - before <= FEW


@pytest.mark.parametrize(
    ("function", "start", "values"),
    [
        ("fleet.settle_freezes", "select distinct", {"p_payment_ids": "array[1::bigint]"}),
        ("fleet.frozen_coins", "select", {"p_profile_ids": "array[gen_random_uuid()]"}),
        ("fleet.expire_freezes", "select k.provider", {"v_now": "now()", "p_limit": "10"}),
        ("fleet.mend_freezes", "select k.provider", {"p_limit": "10"}),
        ("fleet.stray_freezes", "select d.payment_id", {}),
    ],
)
async def test_freezes_are_found_by_their_indexes(
    db: Connection, function: str, start: str, values: dict[str, object]
) -> None:
    await db.execute("set local enable_seqscan = off")
    sql = statement(function, start, **values)
    sql = sql.removesuffix("loop").split("\n    loop")[0]
    # A subquery of an assignment ends with its bracket.
    sql = sql.removesuffix("\n    )")
    assert None not in indexes(await plan(db, sql))
