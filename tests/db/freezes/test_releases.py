"""Released freezes: by a person, for good; by time; and what people see of what is frozen."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.books import APPLIED, NOON, SHORT, Books, Outcome, Payment, gift
from tests.db.freezes.freezing import LATER, bought, frozen, released_by
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C6", "C7")

RELEASE = "select * from public.release_coin_purchase($1, 'ann', 'known to us', 'ann@laptop')"
EXPIRE = "select fleet.expire_freezes($1, $2)"


async def release(books: Books, payment: Payment) -> tuple[list[str], int]:
    """Release a payment as the schema's owner; return what was released, and its coins."""
    row = await books.db.fetchrow(RELEASE, (await books.purchase(payment))["id"])
    assert row is not None
    return row["released"], row["coins"]


async def test_a_person_releases_every_freeze_of_a_payment(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.apply(payment.freeze(), payment.review())
    assert await release(books, payment) == (
        [f"early_fraud_warning issfr_{payment.number}", f"review prv_{payment.number}"],
        1_000,
    )
    assert await books.apply_one(gift(buyer, friend, 1_000)) == APPLIED


async def test_what_a_person_released_stays_released(books: Books) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.review())
    await release(books, payment)
    await books.apply(payment.review(told_at=LATER), payment.review(is_open=False, told_at=LATER))
    assert await frozen(books, buyer) == 0
    owner = await books.db.fetchval("select session_user")
    assert await released_by(books, payment) == [owner]
    # A warning that is new is another matter.
    await books.apply_one(payment.freeze())
    assert await frozen(books, buyer) == 1_000


async def test_a_release_is_kept_with_who_and_why(books: Books) -> None:
    payment = Payment()
    await bought(books, payment)
    await books.apply_one(payment.review())
    await release(books, payment)
    row = await books.db.fetchrow(
        "select action, who, typed_by, reason, detail from fleet.operator_actions"
    )
    assert row is not None
    owner = await books.db.fetchval("select session_user")
    assert tuple(row)[:4] == ("purchases release", owner, "ann@laptop", "known to us")
    assert json.loads(row["detail"]) == {
        "purchase_id": (await books.purchase(payment))["id"],
        "freezes": [f"review prv_{payment.number}"],
        "coins": 1_000,
    }


async def test_where_nothing_is_frozen_a_release_changes_nothing(books: Books) -> None:
    payment = Payment()
    await bought(books, payment)
    assert await release(books, payment) == ([], 0)
    assert await books.db.fetchval("select count(*) from fleet.operator_actions") == 0


@pytest.mark.parametrize(("purchase_id", "reason"), [("1", "' '"), ("1", "null"), ("-1", "'y'")])
async def test_a_release_needs_a_purchase_and_a_reason(
    books: Books, purchase_id: str, reason: str
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await books.db.execute(
            f"select public.release_coin_purchase({purchase_id}, 'ann', {reason})"
        )


async def test_a_warning_ends_after_120_days(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.apply(payment.freeze(), payment.review())
    end = NOON + timedelta(days=120)
    assert await books.db.fetchval(EXPIRE, 10, end - timedelta(seconds=1)) == 0
    assert await books.db.fetchval(EXPIRE, 10, end) == 1
    assert await released_by(books, payment) == ["expiry", None]
    books.now = end
    assert await books.apply_one(gift(buyer, friend)) == SHORT
    await books.apply_one(payment.review(is_open=False, told_at=LATER))
    assert await books.apply_one(gift(buyer, friend)) == APPLIED


async def test_many_warnings_end_some_at_a_time(books: Books) -> None:
    for _ in range(3):
        payment = Payment()
        await bought(books, payment)
        await books.apply_one(payment.freeze())
    end = NOON + timedelta(days=121)
    assert [await books.db.fetchval(EXPIRE, 2, end) for _ in range(3)] == [2, 1, 0]


async def test_what_is_frozen_is_listed_with_what_freezes_it(books: Books) -> None:
    first, second = Payment(), Payment()
    buyer = await bought(books, first)
    await bought(books, second)
    await books.apply(first.freeze(), second.freeze(), second.review(opened_at=LATER))
    rows = await books.db.fetch("select * from fleet.open_freezes()")
    assert [row["sources"] for row in rows] == [
        [f"early_fraud_warning issfr_{first.number}"],
        [f"early_fraud_warning issfr_{second.number}", f"review prv_{second.number}"],
    ]
    assert [row["ends_at"] for row in rows] == [NOON + timedelta(days=120), None]
    assert (rows[0]["profile_id"], rows[0]["coins"]) == (buyer, 1_000)
    counts = await books.db.fetchrow("select * from fleet.freeze_counts()")
    assert counts is not None
    assert tuple(counts) == (2, 2_000, 3, NOON)


async def test_a_gift_of_a_client_says_that_coins_are_frozen(
    db: Connection, books: Books, signed_in: SignIn
) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    client = await signed_in(buyer)
    await books.apply_one(payment.review())
    with pytest.raises(asyncpg.PostgresError) as caught:
        await client.execute("select public.process_gift($1, 'rose', 'key')", friend)
    assert caught.value.sqlstate == "CF001"
    assert str(caught.value).startswith("insufficient_coins")
    assert "1000 coins of this profile are frozen" in str(caught.value)
    await books.apply_one(payment.review(is_open=False, told_at=LATER))
    with pytest.raises(asyncpg.PostgresError) as caught:
        await client.execute("select public.process_gift($1, 'rose', 'key', 1001)", friend)
    assert str(caught.value) == "insufficient_coins"
    await client.execute("select public.process_gift($1, 'rose', 'key', 1000)", friend)


async def test_the_app_hears_how_many_coins_are_frozen(books: Books) -> None:
    await books.db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.apply_one(payment.review())
    await books.apply(gift(buyer, friend), gift(buyer, buyer))
    rows = await books.db.fetch(
        "select request from fleet.provider_calls where key like 'gift-rejected-%' order by id"
    )
    assert ['"frozen_coins": 1000' in row["request"] for row in rows] == [True, False]


async def test_a_gift_and_a_freeze_of_its_sender_take_turns(
    db: Connection, books: Books, connect: Connect
) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.receive(payment.review())
    first, second = await connect("owner"), await connect("owner")
    freezing, giving = Books(first), Books(second)

    async def give() -> dict[int, Outcome]:
        (event_id,) = await giving.receive(gift(buyer, friend))
        return {0: (await giving.work())[event_id]}

    _, given = await second_waits_for_first(
        db, first=first, first_work=freezing.work(), second=second, second_work=give()
    )
    assert given == {0: SHORT}
