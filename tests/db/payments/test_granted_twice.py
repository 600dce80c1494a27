"""One payment under several names: granted once, or its grants are known to be one payment."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from db.facts import Names, Verdict
from tests.db.books import APPLIED, COINS, DUPLICATE, Books, Outcome, Payment
from tests.db.money.calls import buy
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from db.facts import Fact, Purchase
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C3")

GRANTED_TWICE = Outcome("applied", "granted_twice")
ID_CONFLICT = Outcome("held", "id_conflict")
CLOSE = "select fleet.close_double_grant($1, $2, $3, $4)"
STATUSES = "select status, refunded_coins from public.coin_purchases order by id"


@pytest_asyncio.fixture
async def backend(signed_in: SignIn) -> Connection:
    """The platform's backend, with the service key."""
    return await signed_in(role="service_role")


def session_of(payment: Payment) -> str:
    return f"cs_{payment.number}"


def session(payment: Payment, buyer: UUID | None, **changes: Any) -> Purchase:
    """The payment's checkout session was paid."""
    keys = [payment.intent, session_of(payment)]
    return payment.bought(buyer, payment_keys=keys, **changes)


async def record(backend: Connection, buyer: UUID, name: str, **arguments: object) -> object:
    """Record a payment of 100 coins under one of its names."""
    return await buy(backend, buyer, f"evt_rpc_{name}", name, provider="stripe", **arguments)


async def named_pairs(books: Books) -> list[list[int]]:
    rows = await books.db.fetch("select purchase_ids from invariants.payments_are_granted_once")
    return [row["purchase_ids"] for row in rows]


async def close(books: Books, *, take_back: bool = False) -> None:
    """Decide about the newer grant of each pair, as a person does."""
    for pair in await named_pairs(books):
        await books.db.execute(CLOSE, pair[-1], take_back, "ann", "asked the buyer")


async def granted_twice(books: Books, backend: Connection) -> tuple[UUID, Payment]:
    """A buyer whose payment was recorded by its session and granted by its intent, then joined."""
    buyer, payment = await books.profile(), Payment()
    await record(backend, buyer, session_of(payment))
    assert await books.apply_one(payment.bought(buyer)) == APPLIED
    assert await books.apply_one(session(payment, buyer)) == GRANTED_TWICE
    return buyer, payment


# All names join


@pytest.mark.long_but_first
@pytest.mark.parametrize("name", ["intent", "charge", "session"])
@pytest.mark.parametrize("first", ["call", "events"])
async def test_any_name_in_a_direct_call_is_the_payment_of_its_events(
    books: Books, backend: Connection, name: str, first: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    names = {"intent": payment.intent, "charge": payment.charge, "session": session_of(payment)}
    if first == "call":
        await record(backend, buyer, names[name])
    # Each event names two of the three.
    facts = (session(payment, buyer), payment.bought(buyer))
    if name == "charge":
        facts = (payment.bought(buyer), session(payment, buyer))
    for fact in facts:
        await books.apply_one(fact)
    assert await record(backend, buyer, names[name]) == ("confirmed", COINS, True)
    assert await books.coins(buyer) == COINS
    await books.apply_one(payment.refund(40, payment_keys=[payment.charge]))
    assert await books.coins(buyer) == 60


async def test_all_events_of_a_payment_in_one_batch_grant_it_once_in_any_order(
    books: Books, backend: Connection
) -> None:
    for ordered in permutations(range(3)):
        buyer, payment = await books.profile(), Payment()
        await record(backend, buyer, session_of(payment))
        facts = (payment.bought(buyer), session(payment, buyer), payment.refund(40))
        await books.apply(*(facts[no] for no in ordered))
        assert await books.coins(buyer) == 60


# Two grants turn out to be one payment


async def test_the_event_that_shows_two_grants_to_be_one_payment_says_so_once(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await granted_twice(books, backend)
    assert await books.coins(buyer) == 2 * COINS
    assert await books.apply_one(session(payment, buyer)) == DUPLICATE
    assert len(await named_pairs(books)) == 1
    await close(books)


@pytest.mark.long_but_first
@pytest.mark.parametrize("kind", ["without metadata", "session", "refund", "dispute"])
async def test_whatever_event_joins_two_direct_grants_is_granted_twice(
    books: Books, backend: Connection, kind: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    both = [payment.intent, session_of(payment)]
    await record(backend, buyer, payment.intent)
    await record(backend, buyer, session_of(payment))
    facts: dict[str, Fact] = {
        "session": session(payment, buyer),
        "without metadata": Verdict(state="ignored", reason="not_ours", payment_keys=both),
        "refund": payment.refund(100, payment_keys=both),
        "dispute": payment.dispute(100, -100),
    }
    if kind == "dispute":
        await books.apply_one(payment.refund(0, "link", payment_keys=[*both, payment.charge]))
    else:
        assert await books.apply_one(facts[kind]) == GRANTED_TWICE
    await books.apply_one(payment.dispute(100, -100))
    assert await books.coins(buyer) == 0
    await close(books)


@pytest.mark.parametrize("by", ["intent", "charge", "session"])
async def test_a_refund_by_any_name_settles_both_in_the_same_ratio(
    books: Books, backend: Connection, by: str
) -> None:
    buyer, payment = await granted_twice(books, backend)
    names = {"intent": payment.intent, "charge": payment.charge, "session": session_of(payment)}
    await books.apply_one(payment.refund(40, payment_keys=[names[by]]))
    assert await books.coins(buyer) == 120
    await books.apply_one(payment.refund(60, "rest", payment_keys=[names[by]]))
    assert await books.coins(buyer) == 0
    assert [tuple(row) for row in await books.db.fetch(STATUSES)] == [("refunded", COINS)] * 2
    await books.apply_one(payment.refund(60, "rest", "failed", payment_keys=[names[by]]))
    assert await books.coins(buyer) == 120
    await close(books)


# In every eleventh order any two facts come in both orders.
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.long)])
async def test_refunds_before_between_and_after_end_alike_in_every_order(
    books: Books, backend: Connection, step: int
) -> None:
    for ordered in list(permutations(range(5)))[::step]:
        buyer, payment = await books.profile(), Payment()
        facts: list[Fact | None] = [
            None,
            payment.bought(buyer),
            payment.refund(30, "a", payment_keys=[payment.charge]),
            payment.refund(20, "b", payment_keys=[payment.intent]),
            session(payment, buyer),
        ]
        for no in ordered:
            fact = facts[no]
            if fact is None:
                await record(backend, buyer, session_of(payment))
            else:
                await books.apply_one(fact)
        grants = await books.db.fetchval(
            "select count(*) from public.coin_purchases where profile_id = $1", buyer
        )
        assert await books.coins(buyer) == grants * 50
        await close(books)


async def test_the_ratio_is_that_of_the_amount_that_the_provider_told(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await record(backend, buyer, session_of(payment), usd="9.99")
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(session(payment, buyer))
    await books.apply_one(payment.refund(50))
    assert await books.coins(buyer) == COINS
    await close(books)


async def test_grants_to_two_people_that_are_one_payment_are_both_settled(
    books: Books, backend: Connection
) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    await record(backend, other, session_of(payment))
    await books.apply_one(payment.bought(buyer))
    assert await books.apply_one(session(payment, buyer)) == GRANTED_TWICE
    # Each may call again, under any name of the payment.
    for person in (buyer, other):
        again = await buy(backend, person, "evt_new", payment.charge, provider="stripe")
        assert again == ("confirmed", COINS, True)
    await books.apply_one(payment.dispute(100, -100))
    assert (await books.coins(buyer), await books.coins(other)) == (0, 0)
    assert await books.db.fetchval("select bool_and(status = 'chargeback') from coin_purchases")
    await close(books)


async def test_three_grants_of_one_payment_are_joined_one_after_the_other(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    for name in (session_of(payment), payment.charge, payment.intent):
        await record(backend, buyer, name)
    assert await books.apply_one(payment.bought(buyer)) == GRANTED_TWICE
    await close(books)
    assert await named_pairs(books) == []
    # One more event shows that there is a grant beside the closed pair.
    assert await books.apply_one(session(payment, buyer)) == GRANTED_TWICE
    assert [len(pair) for pair in await named_pairs(books)] == [3]
    await books.apply_one(payment.refund(40))
    assert await books.coins(buyer) == 180
    await close(books)


async def test_each_grant_is_still_known_by_its_own_ids(books: Books, backend: Connection) -> None:
    buyer, payment = await granted_twice(books, backend)
    assert await record(backend, buyer, session_of(payment)) == ("confirmed", 2 * COINS, True)
    again = await buy(backend, buyer, "evt_new", payment.charge, provider="stripe")
    assert again == ("confirmed", 2 * COINS, True)
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 2
    await close(books)


async def test_a_held_purchase_of_a_granted_payment_is_held_for_that(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await record(backend, buyer, session_of(payment))
    (held,) = await books.receive(payment.bought(buyer, amount_minor=1))
    await books.work()
    assert await books.outcome(held) == Outcome("held", "wrong_amount")
    assert await books.apply_one(session(payment, buyer)) == DUPLICATE
    assert await books.outcome(held) == ID_CONFLICT
    assert (await books.purchase(payment))["hold_reason"] == "id_conflict"
    await books.db.execute("update fleet.inbox_events set state = 'pending' where id = $1", held)
    assert await books.work() == {held: ID_CONFLICT}
    assert await named_pairs(books) == []
    # Its whole refund closes it, and takes the coins of the other.
    await books.apply_one(payment.refund(1, payment_keys=[session_of(payment)]))
    assert await books.outcome(held) == Outcome("applied", "refunded_while_held")
    assert await books.coins(buyer) == 0


async def test_what_a_session_tells_of_a_held_price_grants_no_payment_twice(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await record(backend, buyer, session_of(payment))
    (held,) = await books.receive(payment.bought(buyer, amount_minor=119))
    await books.work()
    assert await books.outcome(held) == Outcome("held", "wrong_amount")
    with_tax = session(payment, buyer, amount_minor=119, deductions_minor=(19,))
    assert await books.apply_one(with_tax) == DUPLICATE
    assert await books.outcome(held) == ID_CONFLICT
    assert await books.coins(buyer) == COINS


# A person closes it


async def test_taking_back_leaves_one_grant_which_refunds_still_follow(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await granted_twice(books, backend)
    await close(books, take_back=True)
    assert await books.coins(buyer) == COINS
    await books.apply_one(payment.refund(40))
    assert await books.coins(buyer) == 60
    await books.apply_one(payment.refund(60, "rest"))
    assert await books.coins(buyer) == 0
    closed = await books.db.fetch("select closed_by, closed_reason from fleet.joined_purchases")
    assert {tuple(row) for row in closed} == {("ann", "asked the buyer")}


async def test_closing_without_taking_back_moves_nothing_and_can_be_changed(
    books: Books, backend: Connection
) -> None:
    buyer, _ = await granted_twice(books, backend)
    (pair,) = await named_pairs(books)
    await close(books)
    assert await books.coins(buyer) == 2 * COINS
    for take_back, left in ((True, COINS), (True, COINS), (False, 2 * COINS)):
        await books.db.execute(CLOSE, pair[0], take_back, "bob", "changed")
        assert await books.coins(buyer) == left
    reason = await books.db.fetchval("select max(closed_reason) from fleet.joined_purchases")
    assert "; before: ann, asked the buyer" in reason


async def test_the_last_grant_of_a_payment_is_not_taken_back(
    books: Books, backend: Connection
) -> None:
    buyer, _ = await granted_twice(books, backend)
    first, second = (await named_pairs(books))[0]
    await books.db.execute(CLOSE, first, True, "ann", "twice")  # noqa: FBT003
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await books.db.execute(CLOSE, second, True, "ann", "twice")  # noqa: FBT003
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize(
    "arguments",
    [(1, None, "ann", "x"), (1, True, " ", "x"), (1, True, "ann", ""), (1, True, "a", "x")],
)
async def test_closing_what_is_no_double_grant_is_refused(
    books: Books, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await books.db.execute(CLOSE, *arguments)


async def test_a_session_that_is_not_paid_yet_already_joins_its_names(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await record(backend, buyer, session_of(payment))
    unpaid = Names(payment_keys=[payment.intent, session_of(payment)], reason="unpaid")
    assert await books.apply_one(unpaid) == Outcome("ignored", "unpaid")
    assert await books.apply_one(payment.bought(buyer)) == DUPLICATE
    assert await books.coins(buyer) == COINS


# Two connections


async def test_an_event_waits_for_the_call_that_names_its_session(
    books: Books, backend: Connection, connect: Connect
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.receive(session(payment, buyer))
    observer, worker = await connect(), Books(await connect())
    results = await second_waits_for_first(
        observer,
        first=backend,
        first_work=record(backend, buyer, session_of(payment)),
        second=worker.db,
        second_work=worker.work(),
    )
    assert list(results[1].values()) == [DUPLICATE]  # type: ignore[attr-defined]
    assert await books.coins(buyer) == COINS


async def test_a_call_waits_for_the_event_that_names_its_session(
    books: Books, backend: Connection, connect: Connect
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.receive(session(payment, buyer))
    observer, worker = await connect(), Books(await connect())
    results: tuple[object, object] = await second_waits_for_first(
        observer,
        first=worker.db,
        first_work=worker.work(),
        second=backend,
        second_work=record(backend, buyer, session_of(payment)),
    )
    assert results[1] == ("confirmed", COINS, True)


async def test_an_erasure_finds_the_names_that_joined_purchases_share(
    books: Books, backend: Connection
) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    await record(backend, other, session_of(payment))
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(session(payment, buyer))
    await books.apply_one(payment.refund(40, payment_keys=[payment.charge]))
    erased = "select fleet.erase_profile($1, 'ann', 'asked') ->> 'payloads'"
    assert await books.db.fetchval(erased, other) == "3"
    await close(books)
