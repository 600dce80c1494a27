"""Rates that an operator sets: what is refused, what they change, which ones are stale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.operating.rates import (
    NewestRate,
    Rate,
    RatesRefused,
    RatesSet,
    find_faults,
    read_newest_rates,
    set_rates,
)
from tests.db.books import NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection

DAY = timedelta(days=1)


def rate(currency: str, usd: str, as_of: datetime | None = NOON) -> Rate:
    return Rate(currency, Decimal(usd), as_of)


async def store(connection: Connection, *rates: Rate, unusual: bool = False) -> RatesSet:
    return await set_rates(
        connection,
        rates,
        allow_unusual=unusual,
        action="rates set",
        typed_by="ann@desk",
        reason="the bank's list",
    )


async def stored(connection: Connection) -> list[tuple[str, Decimal]]:
    rows = await connection.fetch(
        "select currency, usd_per_unit from public.fx_rates order by 1, 2"
    )
    return [tuple(row) for row in rows]


async def test_rates_are_stored_with_a_note_of_who_and_why(db: Connection) -> None:
    done = await store(db, rate("eur", "1.0843"), rate("jpy", "0.0067", None))
    assert (done.stored, done.holds) == (2, [])
    assert await stored(db) == [("eur", Decimal("1.0843")), ("jpy", Decimal("0.0067"))]
    note = await db.fetchrow(
        "select action, who, typed_by, reason, detail->'rates'->0 as first,"
        " session_user::text as me from fleet.operator_actions"
    )
    assert note is not None
    assert (note["action"], note["typed_by"]) == ("rates set", "ann@desk")
    assert (note["who"], note["reason"]) == (note["me"], "the bank's list")
    assert note["first"] == f'["eur", "1.0843", "{NOON.isoformat()}"]'


async def test_a_rate_without_a_time_is_of_now(db: Connection) -> None:
    await store(db, rate("eur", "1.08", None))
    age = await db.fetchval("select clock_timestamp() - as_of from public.fx_rates")
    assert timedelta(0) <= age < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rate("euro", "1"), "a currency has three letters"),
        (rate("EUR", "1"), "a currency has three letters"),
        (rate("usd", "1"), "US dollars need no rate"),
        (rate("eur", "0"), "was it turned round?"),
        (rate("eur", "-1"), "was it turned round?"),
        (rate("jpy", "149.2"), "was it turned round?"),
        (rate("eur", "NaN"), "was it turned round?"),
        (rate("eur", "1.08", NOON + 9_999 * DAY), "in the future"),
    ],
)
async def test_a_rate_with_a_fault_stores_none(db: Connection, wrong: Rate, said: str) -> None:
    with pytest.raises(RatesRefused) as refused:
        await store(db, rate("gbp", "1.25"), wrong)
    assert [no for no, _ in refused.value.faults] == [2]
    assert said in refused.value.faults[0][1]
    assert await stored(db) == []
    assert await db.fetchval("select count(*) from fleet.operator_actions") == 0


async def test_the_function_itself_refuses_a_rate_with_a_fault(db: Connection) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await db.execute(
            "select fleet.set_rates(array['eur'], array[-1], array[null::timestamptz], true, now())"
        )


async def test_all_faults_are_told_at_once(db: Connection) -> None:
    faults = await find_faults(
        db, [rate("usd", "0"), rate("eur", "1"), rate("eur", "1")], allow_unusual=False
    )
    assert [no for no, _ in faults] == [1, 1, 3]
    assert "stand here twice" in faults[2][1]


async def test_a_stored_rate_never_changes(db: Connection) -> None:
    await store(db, rate("eur", "1.08"))
    assert (await store(db, rate("eur", "1.08"))).stored == 0
    with pytest.raises(RatesRefused) as refused:
        await store(db, rate("eur", "1.09"))
    assert "rates never change: set a later one" in refused.value.faults[0][1]
    assert (await store(db, rate("eur", "1.09", NOON + DAY))).stored == 1


@pytest.mark.parametrize(("usd", "is_usual"), [("2", True), ("0.5", True), ("2.01", False)])
async def test_a_rate_far_from_the_one_before_has_to_be_confirmed(
    db: Connection, usd: str, *, is_usual: bool
) -> None:
    await store(db, rate("eur", "1"))
    if not is_usual:
        with pytest.raises(RatesRefused, match=r"^"):
            await store(db, rate("eur", usd, NOON + DAY))
    assert (await store(db, rate("eur", usd, NOON + DAY), unusual=not is_usual)).stored == 1


async def test_the_newest_rate_of_each_currency_is_listed(db: Connection) -> None:
    await store(db, rate("eur", "1.1"), rate("eur", "1.2", NOON + DAY), rate("gbp", "1.3", None))
    eur, gbp = await read_newest_rates(db)
    assert eur == NewestRate("eur", Decimal("1.2"), NOON + DAY, counts=False)
    assert (gbp.currency, gbp.counts) == ("gbp", True)


async def test_a_rate_that_a_clock_ahead_dated_is_neither_listed_nor_replaces_later_ones(
    db: Connection,
) -> None:
    await store(db, rate("eur", "1.1", None))
    for currency in ("eur", "gbp"):
        await db.execute(
            "insert into public.fx_rates values ($1, 1.3, clock_timestamp() + interval '2 days')",
            currency,
        )
    eur, gbp = await read_newest_rates(db)
    assert (eur.usd_per_unit, eur.counts) == (Decimal("1.1"), True)
    assert (gbp.usd_per_unit, gbp.counts) == (Decimal("1.3"), False)
    await store(db, rate("eur", "1.2", None))
    assert await stored(db) == [
        *[("eur", Decimal(usd)) for usd in ("1.1", "1.2")],
        ("gbp", Decimal("1.3")),
    ]


async def hold_for_want_of_a_rate(books: Books, currency: str) -> tuple[int, int]:
    """Return the event and the purchase of a payment that is held as no_fx_rate."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', 'local', 100, 90, $1)",
        currency,
    )
    payment = Payment()
    [event_id] = await books.receive(
        payment.bought(await books.profile(), sku="local", amount_minor=90, currency=currency)
    )
    assert await books.work() == {event_id: Outcome("held", "no_fx_rate")}
    return event_id, (await books.purchase(payment))["id"]


async def test_what_was_held_for_want_of_the_rate_is_named_and_judged_again(books: Books) -> None:
    event_id, purchase_id = await hold_for_want_of_a_rate(books, "gbp")
    await hold_for_want_of_a_rate(books, "nok")
    # It was judged in vain just now, so housekeeping would let it wait.
    await books.db.execute("insert into fleet.hold_judgements values ($1, 9, now())", event_id)
    (hold,) = (await store(books.db, rate("gbp", "1.25", None))).holds
    assert (hold.event_id, hold.purchase_id, hold.has_rate) == (event_id, purchase_id, True)
    assert await books.db.fetchval("select fleet.judge_holds_again()") == 1
    books.now = await books.db.fetchval("select clock_timestamp()")
    assert await books.work() == {event_id: Outcome("applied")}


async def test_a_rate_that_is_too_old_leaves_what_is_held(books: Books) -> None:
    event_id, _ = await hold_for_want_of_a_rate(books, "gbp")
    (hold,) = (await store(books.db, rate("gbp", "1.25", NOON - 9 * DAY))).holds
    assert not hold.has_rate
    assert await books.outcome(event_id) == Outcome("held", "no_fx_rate")
    assert await books.db.fetchval("select fleet.judge_holds_again()") == 0


async def stale(books: Books) -> list[tuple[str, timedelta | None]]:
    """The currencies without a rate that counts, with the age of their newest."""
    rows = await books.db.fetch("select * from fleet.stale_rates($1)", books.now)
    return [(row["currency"], row["newest_at"] and books.now - row["newest_at"]) for row in rows]


async def test_a_currency_of_a_payment_without_a_rate_is_stale(books: Books) -> None:
    await books.apply_one(Payment().bought(await books.profile()))
    assert await stale(books) == []
    await hold_for_want_of_a_rate(books, "gbp")
    assert await stale(books) == [("gbp", None)]
    await store(books.db, rate("gbp", "1.25"))
    books.wait(days=5)
    assert await stale(books) == []
    books.wait(seconds=1)
    assert await stale(books) == [("gbp", 5 * DAY + timedelta(seconds=1))]


async def test_a_currency_of_a_dispute_without_a_rate_is_stale(books: Books) -> None:
    payment = Payment()
    await books.apply(payment.bought(await books.profile()))
    await books.apply_one(payment.dispute(10, -10, currency="eur"))
    assert await stale(books) == [("eur", None)]


async def test_a_currency_that_was_used_long_ago_is_not_stale(books: Books) -> None:
    await hold_for_want_of_a_rate(books, "gbp")
    books.wait(days=31)
    assert await stale(books) == []
