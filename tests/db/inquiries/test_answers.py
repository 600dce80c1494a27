"""Answers to stores: by a person or by itself, once, in time, and only what may be told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from db.approvals.decisions import DecisionRefused
from db.approvals.inquiries import answer_due_inquiries, answer_inquiry, read_open_inquiries
from db.errors import DecidedBefore, DecidedMeanwhile
from db.facts import StoreInquiry
from tests.db.stores.sales import PRICE_LIST, Sale, item

if TYPE_CHECKING:
    from uuid import UUID

    from db.approvals.inquiries import Answered, Inquiry
    from tests.conftest import Connect
    from tests.db.books import Books

CONSENT = "select fleet.configure_consent(true)"


@pytest_asyncio.fixture
async def buyer(books: Books) -> UUID:
    """A buyer; customers have consented."""
    await books.db.execute(PRICE_LIST)
    await books.db.execute(CONSENT)
    return await books.profile()


async def ask(books: Books, sale: Sale, *, hours_ago: float = 1, sandbox: bool = False) -> None:
    """Let the store ask about a sale: Apple names the transaction, Google the order."""
    asked_at = await books.db.fetchval("select clock_timestamp()") - timedelta(hours=hours_ago)
    is_apple = sale.provider == "apple"
    told = None
    if is_apple:
        told = sale.reversed(0, asked_at, is_sandbox=sandbox)
    await books.apply(
        StoreInquiry(
            payment_keys=[sale.name if is_apple else sale.order],
            inquiry_id=sale.name if is_apple else f"pending-{sale.number}",
            store_app=sale.app,
            asked_at=asked_at,
            deadline=asked_at + timedelta(hours=12 if is_apple else 24),
            reason="OTHER",
            told=told,
            is_sandbox=sandbox,
        )
    )


async def the_inquiry(books: Books) -> Inquiry:
    [found] = await read_open_inquiries(books.db, limit=10)
    return found


async def answer(books: Books, choice: str, connection: Any = None) -> Answered:
    number = await books.db.fetchval("select max(id) from fleet.store_inquiries")
    return await answer_inquiry(
        connection or books.db, number, choice, reason="why", typed_by="ann@desk"
    )


async def answers(books: Books) -> list[dict[str, Any]]:
    """What the calls say, in order, without their deadline."""
    rows = await books.db.fetch(
        "select kind, request::text from fleet.provider_calls where kind like '%consumption'"
        " or kind like '%review%' order by id"
    )
    found = []
    for row in rows:
        request = msgspec.json.decode(row["request"])
        request.pop("deadline", None)
        found.append({"kind": row["kind"]} | request)
    return found


async def due(books: Books) -> int:
    return len(await answer_due_inquiries(books.db, limit=10))


def to_apple(sale: Sale, **changes: Any) -> dict[str, Any]:
    """What Apple is told of a delivered purchase of which nothing is spent."""
    return {
        "kind": "apple.answer_consumption",
        "transaction_id": sale.name,
        "bundle_id": sale.app,
        "environment": "Production",
        "delivery_status": "DELIVERED",
        "consumption_percentage": 0,
        "refund_preference": None,
    } | changes


async def test_without_consent_nothing_is_answered_to_apple(books: Books, buyer: UUID) -> None:
    await books.db.execute("select fleet.configure_consent(false)")
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=11)
    assert (await the_inquiry(books)).blocked_by == "no_consent"
    assert await due(books) == 0
    with pytest.raises(DecisionRefused, match="APPLE_CUSTOMERS_CONSENTED"):
        await answer(books, "decline")
    assert await answers(books) == []


async def test_consent_that_is_withdrawn_removes_what_was_not_sent(
    books: Books, buyer: UUID
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    await answer(books, "decline")
    await books.db.execute(CONSENT)
    assert len(await answers(books)) == 1
    await books.db.execute("select fleet.configure_consent(false)")
    assert await answers(books) == []


async def test_a_person_says_what_refund_is_preferred(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    said = await answer(books, "decline")
    assert (said.provider, said.choice) == ("apple", "DECLINE")
    assert await answers(books) == [to_apple(sale, refund_preference="DECLINE")]
    assert await read_open_inquiries(books.db, limit=10) == []
    [note] = await books.db.fetch("select * from fleet.operator_actions")
    assert (note["action"], note["reason"], note["typed_by"]) == (
        "purchases answer",
        "why",
        "ann@desk",
    )
    assert len(note["event_ids"]) == 1


async def test_apple_is_answered_without_a_person_after_half_the_time(
    books: Books, buyer: UUID
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=5.9)
    assert await due(books) == 0
    await ask(books, other := Sale("apple"), hours_ago=7)
    await books.apply(other.sold(buyer))
    assert await due(books) == 1
    assert await due(books) == 0
    assert await answers(books) == [to_apple(other)]


@pytest.mark.parametrize(
    ("spent", "milli_percent"), [(0, 0), (1, 333), (100, 33_333), (200, 66_666), (300, 100_000)]
)
async def test_what_the_buyer_could_not_give_back_is_consumed(
    books: Books, buyer: UUID, spent: int, milli_percent: int
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer, units=3))
    if spent:
        await books.db.execute(
            "select public.update_coin_balance_via_ledger($1, $2, 'adjustment', 'spent')",
            buyer,
            -spent,
        )
    await ask(books, sale, hours_ago=7)
    assert (await the_inquiry(books)).consumed_milli_percent == milli_percent
    await due(books)
    assert (await answers(books))[0]["consumption_percentage"] == milli_percent


async def test_a_part_is_refunded_only_if_a_part_is_spent(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    with pytest.raises(DecisionRefused, match="none of its coins are spent"):
        await answer(books, "grant-prorated")
    await books.db.execute(
        "select public.update_coin_balance_via_ledger($1, -40, 'adjustment', 'spent')", buyer
    )
    await answer(books, "GRANT_PRORATED")
    assert await answers(books) == [
        to_apple(sale, consumption_percentage=40_000, refund_preference="GRANT_PRORATED")
    ]


NOT_DELIVERED = {
    "delivery_status": "UNDELIVERED_OTHER",
    "consumption_percentage": None,
    "refund_preference": "GRANT_FULL",
}


async def test_a_rejected_purchase_is_told_at_once_as_not_delivered(
    books: Books, buyer: UUID
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer, amount_minor=3_000_000, currency="usd"))
    await ask(books, sale, hours_ago=0.1)
    # It may still be approved.
    assert await due(books) == 0
    purchase_id = await books.db.fetchval("select id from public.coin_purchases")
    await books.db.execute(
        "select public.reject_coin_purchase($1, 'ann', 'why', true)", purchase_id
    )
    assert await due(books) == 1
    assert await answers(books) == [to_apple(sale, **NOT_DELIVERED)]


async def test_a_rejected_event_without_a_buyer_is_told_at_once_as_not_delivered(
    books: Books, buyer: UUID
) -> None:
    del buyer
    sale = Sale("apple")
    await books.apply(sale.sold(None, buyer_unreadable=True))
    await ask(books, sale, hours_ago=0.1)
    event_id = await books.db.fetchval("select id from fleet.inbox_events where state = 'held'")
    await books.db.execute("select public.reject_held_event($1, 'ann', 'why', true)", event_id)
    assert await due(books) == 1
    assert await answers(books) == [to_apple(sale, **NOT_DELIVERED)]


async def test_a_purchase_that_is_held_all_the_time_was_not_delivered(
    books: Books, buyer: UUID
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer, item("coins.unknown")))
    await ask(books, sale, hours_ago=7)
    assert await due(books) == 1
    assert await answers(books) == [to_apple(sale, **NOT_DELIVERED)]


async def test_nothing_is_said_of_a_purchase_that_nobody_knows(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await ask(books, sale, hours_ago=7)
    assert (await the_inquiry(books)).blocked_by == "unknown_purchase"
    assert await due(books) == 0
    with pytest.raises(DecisionRefused, match="nothing is known"):
        await answer(books, "grant-full")
    await books.apply(sale.sold(buyer))
    assert await due(books) == 1


async def test_the_sandbox_is_answered_at_once_at_the_sandbox(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer, is_sandbox=True))
    await ask(books, sale, hours_ago=0.1, sandbox=True)
    assert await due(books) == 1
    assert await answers(books) == [to_apple(sale, environment="Sandbox", **NOT_DELIVERED)]


async def test_a_transaction_is_answered_once_however_often_apple_asks(
    books: Books, buyer: UUID
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=9)
    await due(books)
    first = await books.db.fetchval("select request ->> 'deadline' from fleet.provider_calls")
    await ask(books, sale, hours_ago=1)
    # What is still to be sent has the time of the newest question.
    second = await books.db.fetchval("select request ->> 'deadline' from fleet.provider_calls")
    assert float(second) - float(first) == pytest.approx(8 * 3_600, abs=60)
    await books.db.execute("update fleet.provider_calls set state = 'done', finished_at = now()")
    await ask(books, sale, hours_ago=0)
    assert await read_open_inquiries(books.db, limit=10) == []
    with pytest.raises(DecidedMeanwhile):
        await answer(books, "decline")


@pytest.mark.parametrize(
    "ended", ["state = 'dead'", """state = 'done', result = '{"note": "too_late"}'"""]
)
async def test_an_answer_that_apple_did_not_take_is_given_when_it_asks_again(
    books: Books, buyer: UUID, ended: str
) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=11)
    await due(books)
    await books.db.execute(
        f"update fleet.provider_calls set {ended}, attempts = 3, finished_at = clock_timestamp()"
        " - interval '30 minutes'"
    )
    assert await read_open_inquiries(books.db, limit=10) == []
    await ask(books, sale, hours_ago=0.1)
    await answer(books, "decline")
    assert await answers(books) == [to_apple(sale, refund_preference="DECLINE")]
    [call] = await books.db.fetch("select state, attempts, result from fleet.provider_calls")
    assert tuple(call) == ("pending", 3, None)


async def test_what_went_back_whole_is_not_asked_any_more(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    await books.apply(sale.reversed(100_000, await books.db.fetchval("select clock_timestamp()")))
    assert await read_open_inquiries(books.db, limit=10) == []
    with pytest.raises(DecidedMeanwhile):
        await answer(books, "decline")


async def test_after_the_deadline_nobody_answers(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=12.1)
    assert await due(books) == 0
    with pytest.raises(DecisionRefused, match="had to be answered by"):
        await answer(books, "decline")


@pytest.mark.parametrize(
    ("store", "choice", "told"),
    [
        ("apple", "approve", "decline, grant-full, grant-prorated, no-preference"),
        ("google", "grant-full", "approve, decline, neutral"),
    ],
)
async def test_each_store_has_its_own_choices(
    books: Books, buyer: UUID, store: str, choice: str, told: str
) -> None:
    sale = Sale(store)
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    with pytest.raises(DecisionRefused, match=told):
        await answer(books, choice)


async def test_google_is_told_a_persons_choice(books: Books, buyer: UUID) -> None:
    sale = Sale("google")
    await books.apply(sale.sold(buyer))
    await ask(books, sale, hours_ago=23)
    # Never by itself.
    assert await due(books) == 0
    await answer(books, "approve")
    assert await answers(books) == [
        {
            "kind": "google.review_refund",
            "package": sale.app,
            "order_id": sale.order,
            "pending_refund_token": f"pending-{sale.number}",
            "choice": "APPROVE",
        }
    ]


async def test_nobody_answers_twice_and_the_second_person_is_told(
    books: Books, buyer: UUID, connect: Connect
) -> None:
    sale = Sale("google")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    operator = await connect("operator")
    await answer(books, "approve", operator)
    with pytest.raises(DecidedBefore):
        await answer(books, "decline", operator)
    with pytest.raises(DecidedMeanwhile):
        await answer(books, "decline")
    assert len(await answers(books)) == 1
    assert await books.db.fetchval("select who from fleet.operator_actions") == "coinfleet_operator"


async def test_the_console_says_who_answers(books: Books, buyer: UUID, connect: Connect) -> None:
    sale = Sale("google")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    console = await connect("console")
    number = (await the_inquiry(books)).id
    await console.execute("select fleet.answer_inquiry($1, 'neutral', 'ann', 'why')", number)
    [note] = await books.db.fetch("select who, typed_by from fleet.operator_actions")
    assert tuple(note) == ("ann", "ann")


@pytest.mark.parametrize("role", ["web", "worker", "scheduler"])
async def test_no_process_answers_in_the_name_of_a_person(connect: Connect, role: str) -> None:
    connection = await connect(role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("select fleet.answer_inquiry(1, 'decline', 'ann', 'why')")


async def test_an_answer_says_why(books: Books, buyer: UUID) -> None:
    sale = Sale("apple")
    await books.apply(sale.sold(buyer))
    await ask(books, sale)
    number = (await the_inquiry(books)).id
    with pytest.raises(DecisionRefused, match="reason"):
        await answer_inquiry(books.db, number, "decline", reason=" ", typed_by="ann@desk")
    with pytest.raises(DecisionRefused, match="no question"):
        await answer_inquiry(books.db, 999_999, "decline", reason="why", typed_by="ann@desk")
