"""Holds of the release before, which knew nothing of shipping and tax, are judged again once.

Its workers stored no halves. A payload is the fact itself here: what a worker of this release reads
in it is written there once the older one has held it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from db.facts import Half, Names, Verdict
from tests.db.books import APPLIED, COINS, DUPLICATE, PRICE_MINOR, SKU, Books, Outcome, Payment
from tests.db.payments.halves import NOT_OURS, ORDERS, WRONG_AMOUNT, in_order, session, without_ours

if TYPE_CHECKING:
    from uuid import UUID

    from db.facts import Fact

TOTAL = PRICE_MINOR + 19
TAX = (19,)
# With exclusive tax: the price is the total less the tax.
TAXED = {"sku": SKU, "amount_minor": TOTAL, "deductions_minor": TAX}
PURCHASE = "select id, status, hold_reason, decision from public.coin_purchases"


async def judge(books: Books) -> int:
    """Judge again what can be, as housekeeping does; return how many holds there were."""
    judged: int = await books.db.fetchval("select fleet.judge_holds_again(500, $1)", books.now)
    await books.work()
    return judged


async def held_before(books: Books, *facts: Fact) -> list[int]:
    """Apply events, each in a batch of its own, as workers of the release before did."""
    event_ids = []
    for fact in facts:
        older: Any = fact
        if hasattr(fact, "deductions_minor"):
            older = msgspec.structs.replace(older, deductions_minor=(), told_by=None)
        elif hasattr(fact, "half"):
            older = msgspec.structs.replace(older, half=None)
        event_ids += await books.receive(older)
        await books.work()
        await books.db.execute("delete from fleet.payment_halves")
    await books.db.execute(
        "update fleet.inbox_events as e set payload = n.payload,"
        " event_type = 'checkout.session.completed'"
        " from unnest($1::bigint[], $2::bytea[]) as n (id, payload) where e.id = n.id",
        event_ids,
        [msgspec.json.encode(fact) for fact in facts],
    )
    return event_ids


async def let_time_pass(books: Books) -> None:
    """Let the release have been an hour ago."""
    await books.db.execute("update fleet.schema_objects set applied_at = now() - interval '1 h'")


def paid_intent(payment: Payment, buyer: UUID) -> Fact:
    return payment.bought(buyer, amount_minor=TOTAL, told_by="intent")


async def test_a_taxed_order_is_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    [event_id] = await held_before(books, session(payment, buyer, **TAXED))
    assert await books.outcome(event_id) == WRONG_AMOUNT
    await let_time_pass(books)
    assert set(await books.breaches()) == {"holds_have_their_reason"}
    assert await judge(books) == 1
    assert await books.outcome(event_id) == APPLIED
    assert await books.coins(buyer) == COINS
    assert (await books.purchase(payment))["amount_minor"] == TOTAL


@pytest.mark.parametrize("order", ORDERS)
async def test_the_session_is_read_again_whichever_event_is_held(
    books: Books, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = in_order(order, paid_intent(payment, buyer), session(payment, buyer, **TAXED))
    held, other = await held_before(books, *facts)
    assert [await books.outcome(each) for each in (held, other)] == [WRONG_AMOUNT, DUPLICATE]
    assert await judge(books) == 1
    assert [await books.outcome(each) for each in (held, other)] == [APPLIED, DUPLICATE]
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize("order", ORDERS)
async def test_a_session_without_our_metadata_is_read_again(
    books: Books, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = [paid_intent(payment, buyer), without_ours(payment, deductions_minor=TAX)]
    event_ids = await held_before(books, *in_order(order, *facts))
    assert await judge(books) == 1
    outcomes = [await books.outcome(each) for each in event_ids]
    assert outcomes == in_order(order, APPLIED, NOT_OURS)
    assert await books.coins(buyer) == COINS


async def test_what_a_worker_of_the_release_before_holds_beside_this_one_is_granted(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    older = payment.bought(buyer, amount_minor=TOTAL)
    [event_id] = await books.receive(older)
    assert await books.work() == {event_id: WRONG_AMOUNT}
    await books.db.execute(
        "update fleet.inbox_events set payload = $1",
        msgspec.json.encode(session(payment, buyer, **TAXED)),
    )
    assert await judge(books) == 1
    assert await books.outcome(event_id) == APPLIED


async def test_what_is_still_wrong_is_judged_once_and_stays_as_old_as_it_is(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    [event_id] = await held_before(
        books, session(payment, buyer, **TAXED | {"deductions_minor": (18,)})
    )
    age = "select oldest_id, oldest_at from fleet.held_counts()"
    await books.db.execute(
        "insert into fleet.hold_reminders (event_id, reminded_at) values ($1, $2)",
        event_id,
        books.now,
    )
    before = await books.db.fetchrow(age)
    books.wait(days=1)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == WRONG_AMOUNT
    assert await books.db.fetchrow(age) == before
    assert await books.db.fetchval("select count(*) from fleet.hold_reminders") == 1
    books.wait(days=2)
    assert await judge(books) == 0
    await let_time_pass(books)
    assert await books.breaches() == {}


async def test_dollar_rules_apply_to_what_is_judged_again(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    told = session(
        payment, buyer, sku=SKU, quantity=25_000, amount_minor=2_500_019, deductions_minor=TAX
    )
    [event_id] = await held_before(books, told)
    assert await judge(books) == 1
    assert await books.outcome(event_id) == Outcome("held", "needs_approval")
    assert await books.coins(buyer) == 0


async def test_what_was_refunded_whole_meanwhile_is_not_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    [event_id] = await held_before(books, session(payment, buyer, **TAXED))
    await books.apply_one(payment.refund(TOTAL))
    assert await judge(books) == 0
    assert await books.outcome(event_id) == Outcome("applied", "refunded_while_held")


@pytest.mark.parametrize(
    "decided",
    [
        "select public.reject_coin_purchase(id, 'me', 'refused', true) from public.coin_purchases",
        "select public.reject_coin_purchase(id, 'me', 'refused') from public.coin_purchases",
        "select public.approve_coin_purchase(id, 'me', 'it is right') from public.coin_purchases",
        # A first approval, and another person's is needed.
        (
            "update fleet.settings set second_approver_above_usd = 0.5;"
            " select public.approve_coin_purchase(id, 'me', 'right') from public.coin_purchases"
        ),
    ],
    ids=["rejected", "to be refunded", "approved", "approved by one"],
)
async def test_what_a_person_decided_is_left_alone(books: Books, decided: str) -> None:
    buyer, payment = await books.profile(), Payment()
    [event_id] = await held_before(books, session(payment, buyer, **TAXED))
    await books.db.execute(decided)
    before = (await books.outcome(event_id), await books.db.fetch(PURCHASE))
    await let_time_pass(books)
    assert await books.breaches() == {}
    assert await judge(books) == 0
    assert (await books.outcome(event_id), await books.db.fetch(PURCHASE)) == before


@pytest.mark.parametrize(
    "told",
    [
        Verdict(state="rejected", reason="account_mismatch", detail="acct_theirs"),
        Verdict(state="ignored", reason="not_ours", half=Half(told_by="session")),
        Names(payment_keys=["cs_1"], reason="unpaid", half=Half(told_by="session")),
    ],
    ids=["of another account", "not ours", "unpaid"],
)
async def test_what_is_read_as_no_purchase_now_stays_held_and_is_not_judged_for_ever(
    books: Books, told: Any
) -> None:
    buyer, payment = await books.profile(), Payment()
    [event_id] = await held_before(books, session(payment, buyer, **TAXED))
    keys = [] if told.reason == "account_mismatch" else payment.keys
    await books.db.execute(
        "update fleet.inbox_events set payload = $1",
        msgspec.json.encode(msgspec.structs.replace(told, payment_keys=keys)),
    )
    await let_time_pass(books)
    purchase = await books.purchase(payment)
    judged = 0
    for _ in range(20):
        books.wait(days=2)
        judged += await judge(books)
        assert await books.outcome(event_id) == WRONG_AMOUNT
        assert await books.breaches() == {}
    assert judged == 12
    assert await books.purchase(payment) == purchase
    assert told.reason in (await books.event(event_id))["last_error"]


async def test_all_other_events_of_a_payment_are_read_again(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    told = [paid_intent(payment, buyer), paid_intent(payment, buyer)]
    event_ids = await held_before(books, *told, session(payment, buyer, **TAXED))
    assert await books.db.fetchval("select fleet.judge_holds_again(1, $1)", books.now) == 1
    await books.work()
    assert [await books.outcome(each) for each in event_ids] == [APPLIED, DUPLICATE, DUPLICATE]
