"""Payments of stores at any size: an event reads its own payment and nothing of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.books import Books
from tests.db.stores.sales import SEVEN, Sale, item

if TYPE_CHECKING:
    from uuid import UUID

# Of many rows a batch of a few events may read so many.
FEW = 400
READ = """
select
    coalesce(sum(seq_tup_read), 0)::bigint,
    coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint
from pg_stat_xact_user_tables
where relname in
    ('store_payments', 'store_line_items', 'store_voids', 'sandbox_grants', 'coin_purchases',
    'payment_keys')
"""


HISTORY = """
create temporary table old on commit drop as
select 1000000 + n as id, 'old-' || n as name, '{buyer}'::uuid as buyer,
    now() - interval '9 days' as at
from generate_series(1, {many}) as n;
insert into fleet.payment_keys (provider, key, payment_id) select 'google', name, id from old;
insert into fleet.store_payments (
    payment_id, provider, store_app, provider_payment_id, profile_id, told_at, is_consumed
)
select id, 'google', 'google.app', name, buyer, at, true from old;
insert into fleet.store_line_items (payment_id, product_id, quantity, unit_coins)
select id, 'coins.100', 1, 100 from old;
insert into fleet.store_voids select id, at, 1 from old;
insert into fleet.sandbox_grants select id, buyer, at, 1 from old;
insert into public.coin_purchases (
    payment_id, profile_id, provider, provider_event_id, provider_payment_id, sku, coin_amount,
    status, purchased_at, granted_at
)
select id, buyer, 'google', name, name, 'coins.100', 100, 'confirmed', at, at from old;
"""


async def fill(books: Books, buyer: UUID, many: int) -> None:
    """So many payments of before, granted and reversed in part."""
    await books.db.execute(HISTORY.format(many=many, buyer=buyer))
    await books.db.execute("analyze")


async def read(books: Books) -> tuple[int, int]:
    """How many rows this transaction read of whole tables, and how many at all."""
    row = await books.db.fetchrow(READ)
    assert row is not None
    return row[0], row[1]


async def check_plans(books: Books, many: int) -> None:
    """Apply some of everything, beside so many payments."""
    before, buyer = await books.profiles(2)
    transaction = books.db.transaction()
    await transaction.start()
    await fill(books, before, many)
    await books.db.execute("select fleet.configure_stores('ignore', array[$1::uuid], 10000)", buyer)
    await books.apply(Sale("google").sold(buyer), Sale("apple").sold(buyer))
    whole, some = await read(books)
    apple, google = Sale("apple"), Sale("google")
    await books.apply(
        apple.sold(None),
        apple.submitted(buyer),
        apple.reversed(50_000),
        google.sold(buyer, item(units=2, back=1), item(SEVEN)),
        google.voided(1),
        Sale("google").sold(buyer, item("coins.new")),
        Sale("google").sold(buyer, is_sandbox=True),
        Sale("google").voided(None),
    )
    whole_then, some_then = await read(books)
    await transaction.rollback()
    assert (whole_then - whole, some_then - some < FEW) == (0, True)


async def test_an_event_of_a_store_reads_its_own_payment(books: Books) -> None:
    await check_plans(books, 3_000)


@pytest.mark.long
async def test_an_event_of_a_store_reads_its_own_payment_among_100_000(books: Books) -> None:
    await check_plans(books, 100_000)
