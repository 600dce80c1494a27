"""What nobody decides is rejected by expiry, after a reminder."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db.approvals.expiry import Expired
from tasks.housekeeping import tidy_up
from tests.db.approvals.decisions import (
    BY_DECISION,
    GRANTED,
    approve,
    calls,
    event_of,
    hold,
    set_rules,
)
from tests.db.books import NOON, PRICE_MINOR, Books, Outcome, Payment
from tests.db.money.calls import buy
from tests.db.races import second_waits_for_first
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C7", "H10")


async def expire(books: Books, connection: Connection | None = None) -> Expired | None:
    """Reject what is held for too long, as housekeeping does."""
    row = await (connection or books.db).fetchrow("select * from fleet.expire_hold($1)", books.now)
    return Expired(**row) if row else None


async def held(books: Books) -> tuple[int, Payment]:
    payment = Payment()
    purchase = payment.worth(await books.profile(), 30_000)
    return await hold(books, purchase, "needs_approval"), payment


async def test_what_is_held_for_too_long_is_rejected_and_refunded(books: Books) -> None:
    await set_rules(books.db, expires_days=10)
    purchase_id, payment = await held(books)
    books.now = NOON + timedelta(days=10, seconds=-1)
    assert await expire(books) is None
    books.wait(seconds=1)
    assert await expire(books) == Expired(purchase_id, None)
    assert await expire(books) is None
    assert len(await calls(books.db)) == 1
    assert await books.db.fetchval("select who from fleet.decisions") == "expiry"
    await books.apply_one(payment.refund(3_000_000))
    assert await event_of(books, purchase_id) == BY_DECISION


async def test_without_the_setting_nothing_expires(books: Books) -> None:
    await held(books)
    books.wait(days=4000)
    assert await expire(books) is None


async def test_an_event_without_a_buyer_expires_too(books: Books) -> None:
    await set_rules(books.db, expires_days=10)
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(None, buyer_unreadable=True))
    await books.work()
    books.wait(days=10)
    assert await expire(books) == Expired(None, event_id)
    assert await expire(books) is None
    await books.apply_one(payment.refund(PRICE_MINOR))
    assert await books.outcome(event_id) == BY_DECISION


@pytest.mark.parametrize("provider", ["apple", "google", "app"])
async def test_what_we_cannot_refund_never_expires(books: Books, provider: str) -> None:
    await set_rules(books.db, expires_days=10)
    await books.db.execute(
        "select public.process_coin_purchase($1, $2, 'evt', 'pay', 3000000, 30000)",
        await books.profile(),
        provider,
    )
    books.wait(days=4000)
    assert await expire(books) is None


async def test_a_first_approval_does_not_stop_the_clock(named: Connection, books: Books) -> None:
    await set_rules(named, second_above=1, expires_days=10)
    purchase_id, _ = await held(books)
    await approve(named, purchase_id)
    books.wait(days=10)
    assert await expire(books) == Expired(purchase_id, None)


async def test_half_way_there_is_one_reminder(books: Books) -> None:
    await set_rules(books.db, expires_days=10)
    purchase_id, _ = await held(books)
    call = "select purchase_id, expires_at from fleet.remind_of_holds(100, $1)"
    books.now = NOON + timedelta(days=5, seconds=-1)
    assert await books.db.fetch(call, books.now) == []
    books.wait(seconds=1)
    [reminder] = await books.db.fetch(call, books.now)
    assert tuple(reminder) == (purchase_id, NOON + timedelta(days=10))
    assert await books.db.fetch(call, books.now) == []


async def test_what_a_direct_call_left_to_a_person_has_its_reminder_too(
    books: Books, signed_in: SignIn
) -> None:
    await set_rules(books.db, expires_days=10)
    backend, buyer = await signed_in(role="service_role"), await books.profile()
    await buy(backend, buyer, payment="pi_1", provider="stripe", usd="30000")
    purchase_id = await books.db.fetchval(
        "update public.coin_purchases set created_at = $1 returning id", NOON
    )
    call = "select * from fleet.remind_of_holds(100, $1)"
    books.now = NOON + timedelta(days=5, seconds=-1)
    assert await books.db.fetch(call, books.now) == []
    books.wait(seconds=1)
    [reminder] = await books.db.fetch(call, books.now)
    end = NOON + timedelta(days=10)
    assert tuple(reminder) == (None, purchase_id, "needs_approval", end)
    assert await books.db.fetch(call, books.now) == []
    books.now = end
    assert await expire(books) == Expired(purchase_id, None)


async def test_expiry_and_a_persons_approval_take_turns(books: Books, connect: Connect) -> None:
    await set_rules(books.db, expires_days=10)
    purchase_id, _ = await held(books)
    books.wait(days=10)
    worker = await connect("owner")
    answers = await second_waits_for_first(
        await connect(),
        first=books.db,
        first_work=approve(books.db, purchase_id),
        second=worker,
        second_work=refusal_of(expire(books, worker)),
    )
    assert answers == (GRANTED, "CF012")
    assert await calls(books.db) == []


async def test_housekeeping_expires_what_is_held(books: Books, worker_pool: Pool) -> None:
    await set_rules(books.db, expires_days=10)
    ids = [(await held(books))[0] for _ in range(2)]
    await tidy_up(make_context(worker_pool))
    assert [await event_of(books, id_) for id_ in ids] == [Outcome("held", "needs_approval")] * 2
    assert len(await calls(books.db)) == 2
    assert await books.db.fetchval("select count(*) from fleet.hold_reminders") == 2


async def refusal_of(answer: object) -> str | None:
    """The SQLSTATE of a refusal."""
    try:
        await answer  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001 -- looked at by the test
        return getattr(error, "sqlstate", None)
    return None
