"""The ledger: double entry, append-only, and the only source of balances."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.db.books import Books, Payment, gift

if TYPE_CHECKING:
    from tests.conftest import Connect

pytestmark = pytest.mark.requirement("C1")

MOVE = "select public.update_coin_balance_via_ledger($1, $2, $3, $4)"
CHANGES = (
    "update public.ledger_entries set amount = amount + 1",
    "update public.ledger_entries set reason = 'other'",
    "delete from public.ledger_entries",
    "truncate public.ledger_entries",
    "truncate public.profiles cascade",
)


async def test_the_entries_of_a_transaction_sum_to_zero_and_name_every_account(
    books: Books,
) -> None:
    sender, streamer = await books.profiles(2)
    await books.apply(Payment().bought(sender), gift(sender, streamer, 10))
    rows = await books.db.fetch(
        "select transaction_id, leg, account, amount from public.ledger_entries"
        " order by transaction_id, leg"
    )
    purchase, given = rows[0]["transaction_id"], rows[-1]["transaction_id"]
    assert [tuple(row) for row in rows] == [
        (purchase, 0, "coins", 100),
        (purchase, 1, "coins_issued", -100),
        (given, 0, "coins", -10),
        (given, 1, "earnings", 7),
        (given, 2, "platform_revenue", 3),
    ]


async def test_an_accounts_entries_are_numbered_and_carry_the_balance_after_them(
    books: Books,
) -> None:
    sender, streamer = await books.profiles(2)
    await books.apply(Payment().bought(sender), *(gift(sender, streamer, 10) for _ in range(2)))
    await books.apply(Payment().bought(sender))
    rows = await books.db.fetch(
        "select seq, balance_after from public.ledger_entries"
        " where profile_id = $1 and account = 'coins' order by seq",
        sender,
    )
    assert [tuple(row) for row in rows] == [(1, 100), (2, 90), (3, 80), (4, 180)]


# Append-only


@pytest.mark.parametrize("change", CHANGES)
async def test_not_even_the_owner_changes_an_entry(books: Books, change: str) -> None:
    await books.profile(coins=1)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.db.execute(change)
    assert caught.value.sqlstate == "CF010"


@pytest.mark.long_but_first
@pytest.mark.parametrize("change", CHANGES)
async def test_not_even_a_superuser_in_replication_mode_changes_an_entry(
    books: Books, connect: Connect, change: str
) -> None:
    await books.profile(coins=1)
    superuser = await connect("superuser")
    await superuser.execute("set session_replication_role = replica")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await superuser.execute(change)
    assert caught.value.sqlstate == "CF010"


async def test_a_profile_with_entries_stays(books: Books) -> None:
    profile = await books.profile(coins=1)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await books.db.execute("delete from public.profiles where id = $1", profile)


# update_coin_balance_via_ledger


async def test_an_adjustment_moves_coins_and_gives_the_balance_after_it(books: Books) -> None:
    profile = await books.profile()
    assert await books.adjust(profile, 30) == 30
    assert await books.adjust(profile, -10) == 20
    assert await books.entries(profile) == [("adjustment", 30), ("adjustment", -10)]


async def test_an_adjustment_told_again_gives_the_balance_of_then(books: Books) -> None:
    profile = await books.profile()
    await books.adjust(profile, 30, key="once")
    await books.adjust(profile, 5)
    assert await books.adjust(profile, 30, key="once") == 30
    assert await books.coins(profile) == 35


@pytest.mark.parametrize("account", ["adjustments", "coins_issued", "platform_revenue"])
async def test_an_adjustment_is_taken_from_the_account_that_is_named(
    books: Books, account: str
) -> None:
    profile = await books.profile()
    await books.db.execute(
        "select public.update_coin_balance_via_ledger($1, 5, 'promotion', 'key', $2)",
        profile,
        account,
    )
    counter = "select account, amount from public.ledger_entries where leg = 1"
    assert tuple(await books.db.fetchrow(counter) or ()) == (account, -5)


async def test_an_adjustment_may_pay_part_of_a_debt_but_not_make_one(books: Books) -> None:
    buyer, streamer = await books.profiles(2)
    payment = Payment()
    await books.apply(payment.bought(buyer), gift(buyer, streamer, 100))
    await books.apply(payment.refund(100))
    assert await books.adjust(buyer, 40) == -60
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.adjust(buyer, -1)
    assert caught.value.sqlstate == "CF001"


@pytest.mark.parametrize("amount", [1, -30, 31])
async def test_a_key_that_was_used_for_something_else_is_a_conflict(
    books: Books, amount: int
) -> None:
    profile = await books.profile()
    await books.adjust(profile, 30, key="once")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.adjust(profile, amount, key="once")
    assert caught.value.sqlstate == "CF008"


async def test_a_key_that_was_used_for_somebody_else_is_a_conflict(books: Books) -> None:
    first, second = await books.profiles(2)
    await books.adjust(first, 30, key="once")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.adjust(second, 30, key="once")
    assert caught.value.sqlstate == "CF008"


@pytest.mark.parametrize(
    ("amount", "reason", "key", "sqlstate"),
    [
        (-11, "adjustment", "key", "CF001"),
        (0, "adjustment", "key", "22023"),
        (None, "adjustment", "key", "22023"),
        (1, "", "key", "22023"),
        (1, None, "key", "22023"),
        (1, "adjustment", "", "22023"),
        (1, "adjustment", None, "22023"),
        (1, "purchase", "key", "22023"),
        (1, "gift", "key", "22023"),
        (1, "refund", "key", "22023"),
        (1, "chargeback", "key", "22023"),
        (1, "reinstatement", "key", "22023"),
        (1, "adjustment", "purchase:stripe:pi_1", "22023"),
        (1, "adjustment", "gift:msg_1", "22023"),
        (1, "adjustment", "reversal:1:1", "22023"),
    ],
)
async def test_an_adjustment_that_breaks_a_rule_moves_nothing(
    books: Books, amount: int | None, reason: str | None, key: str | None, sqlstate: str
) -> None:
    profile = await books.profile(coins=10)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.db.execute(MOVE, profile, amount, reason, key)
    assert caught.value.sqlstate == sqlstate
    assert await books.coins(profile) == 10


async def test_an_adjustment_against_an_unknown_account_is_refused(books: Books) -> None:
    profile = await books.profile()
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await books.db.execute(
            "select public.update_coin_balance_via_ledger($1, 1, 'r', 'k', 'coins')", profile
        )


async def test_an_adjustment_of_nobody_is_refused(books: Books) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await books.db.execute(MOVE, uuid4(), 1, "adjustment", "key")
    assert caught.value.sqlstate == "CF006"
