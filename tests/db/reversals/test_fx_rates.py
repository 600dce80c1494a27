"""Payments in other currencies: the dollar rules judge them by the newest rate of 7 days."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.books import APPLIED, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from datetime import datetime

NO_RATE = Outcome("held", "no_fx_rate")
SECOND = timedelta(seconds=1)
WEEK = timedelta(days=7)


async def set_rate(books: Books, currency: str, usd: str, as_of: datetime = NOON) -> None:
    await books.db.execute(
        "insert into public.fx_rates (currency, usd_per_unit, as_of) values ($1, $2, $3)",
        currency,
        Decimal(usd),
        as_of,
    )


async def pay(books: Books, currency: str, amount_minor: int) -> tuple[Outcome, Decimal | None]:
    """Buy a package of 100 coins at this price; return the outcome and the dollars."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', 'local', 100, $1, $2)",
        amount_minor,
        currency,
    )
    buyer, payment = await books.profile(), Payment()
    outcome = await books.apply_one(
        payment.bought(buyer, sku="local", amount_minor=amount_minor, currency=currency)
    )
    return outcome, (await books.purchase(payment))["usd_amount"]


async def test_a_payment_in_another_currency_is_granted_by_its_rate(books: Books) -> None:
    await set_rate(books, "eur", "1.0843")
    assert await pay(books, "eur", 95) == (APPLIED, Decimal("1.03"))


@pytest.mark.parametrize(
    ("currency", "rate", "amount_minor", "usd"),
    [
        ("gbp", "1.25", 100, "1.25"),
        ("jpy", "0.0067", 1_000, "6.70"),
        ("kwd", "3.25", 1_000, "3.25"),
        ("krw", "0.000725", 1_000_000, "725.00"),
        # Stripe counts hundredths of both.
        ("isk", "0.0072", 100_000, "7.20"),
        ("ugx", "0.00027", 100_000, "0.27"),
    ],
)
async def test_minor_units_follow_the_currencys_decimals(
    books: Books, currency: str, rate: str, amount_minor: int, usd: str
) -> None:
    await set_rate(books, currency, rate)
    assert await pay(books, currency, amount_minor) == (APPLIED, Decimal(usd))


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(0), APPLIED),
        (WEEK, APPLIED),
        (WEEK + SECOND, NO_RATE),
        (-SECOND, NO_RATE),
    ],
)
async def test_a_rate_counts_for_seven_days(
    books: Books, age: timedelta, expected: Outcome
) -> None:
    await set_rate(books, "eur", "1.08", NOON - age)
    assert (await pay(books, "eur", 95))[0] == expected


async def test_the_newest_rate_counts(books: Books) -> None:
    await set_rate(books, "eur", "2", NOON - 2 * SECOND)
    await set_rate(books, "eur", "1", NOON - SECOND)
    await set_rate(books, "eur", "3", NOON - 3 * SECOND)
    assert (await pay(books, "eur", 95))[1] == Decimal("0.95")


@pytest.mark.parametrize(
    ("amount_minor", "expected"),
    [
        (20_000_00, APPLIED),
        (20_000_01, Outcome("held", "needs_approval")),
        (40_000_00, Outcome("held", "needs_approval")),
        (40_000_01, Outcome("held", "over_limit")),
        (2**53, Outcome("held", "over_limit")),
    ],
)
async def test_the_dollar_rules_judge_the_converted_amount(
    books: Books, amount_minor: int, expected: Outcome
) -> None:
    await set_rate(books, "eur", "1.25")
    assert (await pay(books, "eur", amount_minor))[0] == expected


async def test_dollars_need_no_rate_and_ignore_one(books: Books) -> None:
    await set_rate(books, "usd", "2")
    assert await pay(books, "usd", 100) == (APPLIED, Decimal("1.00"))


async def test_a_price_in_another_currency_is_no_price(books: Books) -> None:
    await set_rate(books, "gbp", "1")
    buyer = await books.profile()
    # Worth as many dollars as the package costs; but it has no price in pounds.
    in_pounds = Payment().bought(buyer, currency="gbp")
    assert await books.apply_one(in_pounds) == Outcome("held", "wrong_amount")
    assert await books.coins(buyer) == 0


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity"])
async def test_a_rate_is_a_positive_number(books: Books, rate: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await set_rate(books, "eur", rate)


@pytest.mark.parametrize("currency", ["EUR", "eu", "euro", ""])
async def test_a_rates_currency_is_three_lower_case_letters(books: Books, currency: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await set_rate(books, currency, "1")
