"""Lists of payments, disputes and entries: what a filter means, in order, and nothing twice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db.console import disputes, held_list, paging, payment_list, statement
from db.console.disputes import list_disputes
from db.console.held_list import list_held
from db.console.payment_list import PaymentFilter, list_payments
from db.console.statement import EntryFilter, list_entries, read_holder
from tests.db.books import NOON, Books, Payment

if TYPE_CHECKING:
    from uuid import UUID

    from db.console.payment_list import State

PURCHASES = 30


async def walk_payments(books: Books, wanted: PaymentFilter) -> list[int]:
    """The ids of all pages, one page after the other."""
    found, before = [], None
    for _ in range(PURCHASES):
        page = await list_payments(books.db, wanted, before=before)
        found += [each.id for each in page.rows]
        if page.before is None:
            return found
        before = page.before
    raise AssertionError("the pages do not end")


@pytest_asyncio.fixture
async def sold(books: Books) -> list[UUID]:
    """Payments: of each five of a buyer one is held, one refunded in part, one whole."""
    buyers = await books.profiles(PURCHASES // 5)
    for buyer in buyers:
        books.wait(minutes=2)
        sales = [Payment() for _ in range(5)]
        moment = {"purchased_at": books.now}
        await books.apply(
            sales[0].bought(buyer, units=30_000, **moment),
            *(each.bought(buyer, **moment) for each in sales[1:]),
        )
        await books.apply(sales[1].refund(40), sales[2].refund(100))
    return buyers


@pytest.mark.long_but_first
@pytest.mark.parametrize("looked_at", [7, 20_000])
async def test_payments_are_what_the_filter_means_the_newest_first_and_once(
    books: Books, sold: list[UUID], monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    monkeypatch.setattr(payment_list, "LOOKED_AT_MAX", looked_at)
    monkeypatch.setattr(payment_list, "PAGE_ROWS", 5)
    monkeypatch.setattr(paging, "PAGE_ROWS", 5)
    meanings: dict[State | None, str] = {
        None: "true",
        "held": "granted_at is null",
        "confirmed": "status = 'confirmed'",
        "refunded": "status = 'refunded'",
        "chargeback": "false",
        "reversed": "refunded_coins > 0",
    }
    for state, meaning in meanings.items():
        for buyer in (None, sold[3]):
            expected = await books.db.fetchval(
                "select array(select id from public.coin_purchases where ("
                f"{meaning}) and ($1::uuid is null or profile_id = $1) order by id desc)",
                buyer,
            )
            wanted = PaymentFilter(state=state, profile_id=buyer)
            assert await walk_payments(books, wanted) == expected, (state, buyer)


async def test_all_payments_of_a_buyer_are_found_however_many_others_paid_since(
    books: Books, sold: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_list, "LOOKED_AT_MAX", 7)
    page = await list_payments(books.db, PaymentFilter(profile_id=sold[0]))
    assert len(page.rows) == 5
    assert {each.profile_id for each in page.rows} == {sold[0]}
    assert page.before is None


async def test_disputes_to_answer_are_listed_by_their_deadline_and_each_once(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = await books.profile()
    days = {"a": 9, "b": 2, "c": None, "d": 2, "e": 1, "f": 3}
    statuses = {"e": "won", "f": "under_review"}
    for name, due in days.items():
        books.wait(minutes=2)
        payment = Payment()
        await books.apply(
            payment.bought(buyer, purchased_at=books.now),
            payment.dispute(
                100,
                dispute_id=f"dp_{name}",
                status=statuses.get(name, "needs_response"),
                due_at=None if due is None else NOON + timedelta(days=due),
            ),
        )
    for rows in (50, 1):
        monkeypatch.setattr(disputes, "PAGE", disputes.PAGE.replace("limit 51", f"limit {rows}"))
        found: list[Any] = []
        while page := await list_disputes(
            books.db, is_reviewed=False, after=found[-1].place if found else None
        ):
            found += page
            if len(page) < rows:
                break
        assert [each.dispute_id[3] for each in found] == ["b", "d", "a", "c"]
    (reviewed,) = await list_disputes(books.db, is_reviewed=True)
    assert reviewed.dispute_id.startswith("dp_f")


async def test_a_deadline_is_that_of_the_newest_event_in_any_order(books: Books) -> None:
    buyer, due = await books.profile(), NOON + timedelta(days=9)
    for turn in (1, -1):
        books.wait(minutes=2)
        payment = Payment()
        events = [
            payment.dispute(100, due_at=due, told_at=NOON),
            payment.dispute(100, due_at=due + timedelta(days=1), told_at=NOON + timedelta(hours=1)),
        ]
        await books.apply_one(payment.bought(buyer, purchased_at=books.now))
        for event in events[::turn]:
            await books.apply_one(event)
        told = await books.db.fetchval(
            "select due_at from fleet.disputes where dispute_id = $1", f"dp_{payment.number}"
        )
        assert told == due + timedelta(days=1)


@pytest.mark.long_but_first
@pytest.mark.parametrize("looked_at", [3, 20_000])
async def test_a_statement_is_what_the_filter_means_and_its_balances_run(
    books: Books, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    profile = await books.profile()
    amounts = [5, -2, 7, -1, 3, 4, -6, 8, 2]
    for amount in amounts:
        await books.adjust(profile, amount)
    times = [
        row[0]
        for row in await books.db.fetch(
            "select created_at from public.ledger_entries where profile_id = $1 order by seq",
            profile,
        )
    ]
    for name in ("PAGE", "BOUND"):
        query = getattr(statement, name)
        changed = query.replace("limit 20000", f"limit {looked_at}")
        changed = changed.replace("offset 19999", f"offset {looked_at - 1}")
        monkeypatch.setattr(statement, name, changed)
    for first, last in ((None, None), (2, None), (None, 5), (3, 7), (4, 4)):
        wanted = EntryFilter(
            since=None if first is None else times[first],
            until=None if last is None else times[last],
        )
        found: list[statement.Entry] = []
        before = None
        while True:
            page = await list_entries(books.db, profile, wanted, before=before, rows_max=2)
            found += page.rows
            before = page.before
            if before is None:
                break
        assert [each.amount for each in found] == amounts[first:last][::-1], (first, last)
        for older, newer in zip(found[1:], found, strict=False):
            assert newer.balance_after == older.balance_after + newer.amount
    holder = await read_holder(books.db, profile)
    assert holder is not None
    assert (holder.coin_balance, holder.spendable) == (20, 20)


async def test_what_is_held_is_listed_the_oldest_first_and_once(
    books: Books, sold: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    (event_id,) = await books.receive(Payment().bought(None, buyer_unreadable=True))
    await books.work()
    monkeypatch.setattr(held_list, "PAGE_ROWS", 5)
    found, after = [], None
    while True:
        page = await list_held(books.db, after=after)
        found += page.held
        after = page.following
        if after is None:
            break
    whole = await books.db.fetch("select purchase_id, event_id from fleet.held_purchases(1000)")
    assert [(each.purchase_id, each.event_id) for each in found] == [tuple(row) for row in whole]
    assert (None, event_id) in [(each.purchase_id, each.event_id) for each in found]
    only = await list_held(books.db, reason="unknown_buyer")
    assert [each.event_id for each in only.held] == [event_id]
