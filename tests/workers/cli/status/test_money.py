"""What `coinfleet status` says of payments that were granted twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.db.books import PRICE_LIST, Books, Payment
from workers.cli.status.command import read_health

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database


@pytest_asyncio.fixture
async def books(db: Connection) -> Books:
    """Books that need not be right when the test ends."""
    await db.execute(PRICE_LIST)
    return Books(db)


async def test_status_names_both_grants_of_a_payment_until_a_person_closes_them(
    books: Books, database: Database
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent]))
    other = payment.bought(buyer, provider_payment_id="cs_1", payment_keys=["cs_1"])
    await books.apply_one(other)
    await books.apply_one(payment.refund(1, payment_keys=[payment.intent, "cs_1"]))

    health = await read_health(database.url(), None)
    (line,) = (line for line in health.attention if line.startswith("granted twice"))
    pair = await books.db.fetch("select id from public.coin_purchases order by id")
    assert f"purchases {pair[0]['id']} and {pair[1]['id']} are one payment (200 coins" in line

    command = line[line.index("select") :].replace("'who', 'why'", "'ann', 'told by status'")
    await books.db.execute(command)
    health = await read_health(database.url(), None)
    assert not [line for line in health.attention if line.startswith("granted twice")]
    assert await books.breaches() == {}
