"""Decisions at the same time: of two people, of one person twice, and beside the refund's event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.approvals.decisions import (
    BY_DECISION,
    FIRST,
    GRANTED,
    REFUNDING,
    approve,
    event_of,
    hold,
    reject,
    set_rules,
)
from tests.db.books import APPLIED, Books, Outcome, Payment
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from uuid import UUID

    from tests.conftest import Connect
    from tests.db.approvals.conftest import Person

pytestmark = pytest.mark.requirement("C7", "H10")

WHOLE = 30_000_00


async def held(books: Books) -> tuple[int, Payment, UUID]:
    payment, buyer = Payment(), await books.profile()
    return await hold(books, payment.worth(buyer, 30_000), "needs_approval"), payment, buyer


async def code_or(answer: Coroutine[None, None, object]) -> object:
    """The answer, or the SQLSTATE of its refusal."""
    try:
        return await answer
    except asyncpg.PostgresError as error:
        return error.sqlstate


async def test_two_people_at_once_decide_one_after_the_other(
    books: Books, person: Person, connect: Connect
) -> None:
    purchase_id, _, buyer = await held(books)
    ann, ben = await person("ann"), await person("ben")
    answers = await second_waits_for_first(
        await connect(),
        first=ann,
        first_work=code_or(approve(ann, purchase_id)),
        second=ben,
        second_work=code_or(reject(ben, purchase_id)),
    )
    assert answers == (GRANTED, "CF012")
    assert await books.coins(buyer) == WHOLE


async def test_two_first_approvals_at_once_grant_once(
    books: Books, person: Person, connect: Connect
) -> None:
    purchase_id, _, buyer = await held(books)
    await set_rules(books.db, second_above=1)
    ann, ben = await person("ann"), await person("ben")
    answers = await second_waits_for_first(
        await connect(),
        first=ann,
        first_work=code_or(approve(ann, purchase_id)),
        second=ben,
        second_work=code_or(approve(ben, purchase_id)),
    )
    assert answers == (FIRST, GRANTED)
    assert await books.coins(buyer) == WHOLE


async def test_one_person_twice_at_once_decides_once(
    books: Books, person: Person, connect: Connect
) -> None:
    purchase_id, _, buyer = await held(books)
    await set_rules(books.db, second_above=1)
    one, other = await person("ann"), await person("ann")
    answers = await second_waits_for_first(
        await connect(),
        first=one,
        first_work=code_or(approve(one, purchase_id)),
        second=other,
        second_work=code_or(approve(other, purchase_id)),
    )
    assert answers == (FIRST, "CF011")
    assert await books.coins(buyer) == 0


@pytest.mark.long_but_first
@pytest.mark.parametrize("refund_first", [True, False])
@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_a_decision_and_the_refunds_event_take_turns(
    books: Books, person: Person, connect: Connect, verb: str, *, refund_first: bool
) -> None:
    purchase_id, payment, buyer = await held(books)
    ann, worker = await person("ann"), Books(await connect())
    worker.now = books.now
    await books.receive(payment.refund(WHOLE))
    decide = {"approve": approve, "reject": reject}[verb]
    decision = (ann, code_or(decide(ann, purchase_id)))
    refund = (worker.db, code_or(worker.work()))
    (first, first_work), (second, second_work) = (
        (refund, decision) if refund_first else (decision, refund)
    )
    answers = await second_waits_for_first(
        await connect(),
        first=first,
        first_work=first_work,
        second=second,
        second_work=second_work,
    )
    if refund_first:
        assert answers[1] == "CF012"
        assert await event_of(books, purchase_id) == Outcome("applied", "refunded_while_held")
    else:
        assert answers[0] == (GRANTED if verb == "approve" else REFUNDING)
        wanted = APPLIED if verb == "approve" else BY_DECISION
        assert await event_of(books, purchase_id) == wanted
    assert await books.coins(buyer) == 0
    assert await books.status(payment) == "refunded"


async def test_a_decision_waits_for_a_batch_that_judges_the_purchase_again(
    books: Books, person: Person, connect: Connect
) -> None:
    payment, buyer = Payment(), await books.profile()
    purchase_id = await hold(books, payment.bought(buyer, sku="new"), "unknown_product")
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'new', 100, 100)"
    )
    await books.db.execute("select fleet.judge_holds_again(500, $1)", books.now)
    ann, worker = await person("ann"), Books(await connect())
    worker.now = books.now
    answers = await second_waits_for_first(
        await connect(),
        first=ann,
        first_work=code_or(approve(ann, purchase_id)),
        second=worker.db,
        second_work=code_or(worker.work()),
    )
    assert answers[0] == GRANTED
    assert await books.coins(buyer) == 100
