"""Each proof of the books can fail: for each invariant there is damage that it must find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.facts import Call, Question
from db.release.schema import Kind, expected
from tests.db.books import PRICE_LIST, Books, Payment, breaches, gift
from tests.db.proofs.breakages import BREAKAGES, LEDGER, OF_FACTS, OF_FACTS_IDS
from tests.db.stores.sales import PRICE_LIST as STORES_PRICE_LIST
from tests.db.stores.sales import Sale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

pytestmark = pytest.mark.requirement("C10")


@pytest_asyncio.fixture(scope="module")
async def superuser(cluster: Cluster, template: Database) -> AsyncIterator[Connection]:
    """Books in which everything happened once, and a superuser whose changes fire no trigger."""
    database = await cluster.create(template.name)
    owner = await open_connection(database.url(), application_name="tests")
    await owner.execute(PRICE_LIST)
    books = Books(owner)
    await books.db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    buyer, streamer = await books.profiles(2)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    payment, large = Payment(), Payment()
    await books.apply(payment.bought(buyer), large.worth(buyer, 25_001), large.review())
    nobodys = Payment()
    await books.apply(nobodys.bought(None, buyer_unreadable=True), nobodys.refund(40))
    await books.apply(payment.refund(40), gift(buyer, streamer, 10, stream_id=stream))
    await books.apply(Question(call=Call(kind="stripe.fetch_object", key="fetch", request={})))
    await books.db.execute(STORES_PRICE_LIST)
    google = Sale("google").sold(buyer, units=2, back=1)
    await books.apply(Sale("apple").sold(buyer), google)
    await books.db.execute("insert into public.follows values ($1, $2)", buyer, streamer)
    await books.db.execute(
        "insert into public.active_viewers (stream_id, viewer_id, is_active, is_unmuted,"
        " is_visible, is_subscribed) values ($1, $2, true, true, true, true)",
        stream,
        buyer,
    )
    await books.db.execute("select fleet.refresh_leaderboard()")
    await books.db.execute("select fleet.adjust_balance($1, 5, 'me', 'why', 'key')", streamer)
    await owner.close()
    superuser = await open_connection(database.url("superuser"), application_name="tests")
    await superuser.execute("set session_replication_role = replica")
    for table in (LEDGER, "fleet.adjustments"):
        await superuser.execute(f"alter table {table} disable trigger all")
    yield superuser
    await superuser.close()
    await cluster.drop(database)


@pytest_asyncio.fixture
async def tampering(superuser: Connection) -> AsyncIterator[Connection]:
    """The superuser's session, whose damage is undone with the test."""
    assert await breaches(superuser) == {}
    transaction = superuser.transaction()
    await transaction.start()
    yield superuser
    await transaction.rollback()


def test_each_invariant_has_its_breakage() -> None:
    invariants = {file.name for file in expected() if file.kind is Kind.INVARIANT}
    assert BREAKAGES.keys() == invariants


@pytest.mark.requirement("E")
@pytest.mark.parametrize("invariant", BREAKAGES)
async def test_an_invariant_sees_what_it_is_for(tampering: Connection, invariant: str) -> None:
    assert await tampering.execute(BREAKAGES[invariant]) != "UPDATE 0"
    assert invariant in await breaches(tampering)


@pytest.mark.parametrize(
    ("breakage", "invariant"),
    [
        # Granted to another person than the purchase says.
        (
            (
                "update public.coin_purchases set profile_id = recipient_id"
                " from public.gifts where granted_at is not null"
            ),
            "purchases_match_ledger",
        ),
        # Taken from another person.
        (
            (
                f"update {LEDGER} set profile_id = (select recipient_id from public.gifts)"
                " where reason = 'refund' and account = 'coins'"
            ),
            "purchases_match_ledger",
        ),
        # An event reported it again, and nobody got anything for it.
        (
            (
                "update fleet.inbox_events set event_type = 'checkout.session.completed',"
                " state = 'applied', reason = 'duplicate_payment'"
                " where state = 'held' and reason = 'unknown_buyer'"
            ),
            "applied_purchase_events_have_a_purchase",
        ),
    ],
)
async def test_coins_granted_to_the_wrong_person_are_found(
    tampering: Connection, breakage: str, invariant: str
) -> None:
    assert await tampering.execute(breakage) != "UPDATE 0"
    assert invariant in await breaches(tampering)


@pytest.mark.parametrize(("breakage", "invariant"), OF_FACTS, ids=OF_FACTS_IDS)
async def test_money_that_went_wrong_with_the_facts_is_found(
    tampering: Connection, breakage: str, invariant: str
) -> None:
    assert await tampering.execute(breakage) != "UPDATE 0"
    assert invariant in await breaches(tampering)
