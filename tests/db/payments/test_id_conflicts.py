"""Ids that belong to another purchase: the paid event is held for a person, never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import pytest
import pytest_asyncio

from db.errors import IdempotencyConflict
from tests.db.books import APPLIED, COINS, DUPLICATE, NO_PURCHASE_YET, Books, Outcome, Payment
from tests.db.money.calls import buy
from tests.db.money.refusals import refused
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C3")

RENAME_ENTRIES = """
update public.ledger_entries
set idempotency_key = 'purchase:' || $1 || ':' || split_part(idempotency_key, ':', 3)
"""
CLOSE = "select fleet.close_id_conflict($1, $2, $3)"
ID_CONFLICT = Outcome("held", "id_conflict")


@pytest_asyncio.fixture
async def backend(signed_in: SignIn) -> Connection:
    """The platform's backend, with the service key."""
    return await signed_in(role="service_role")


class OldPurchase(Protocol):
    """Records a purchase as before the names of providers were checked."""

    async def __call__(self, buyer: UUID, name: str, provider: str) -> None:
        """Record 100 coins."""
        ...


@pytest_asyncio.fixture
async def old_purchase(connect: Connect, backend: Connection) -> OldPurchase:
    """Records purchases as the last release did."""
    superuser = await connect("superuser")

    async def record(buyer: UUID, name: str, provider: str) -> None:
        await buy(backend, buyer, "evt_old", name, provider="app")
        await superuser.execute(
            "alter table public.coin_purchases drop constraint provider_known;"
            "alter table public.coin_purchases add constraint provider_known check"
            " (provider in ('stripe', 'apple', 'google', 'app') or id <= 1) not valid;"
            "alter table public.ledger_entries disable trigger all"
        )
        for update in (
            "update public.coin_purchases set provider = $1, id = 1",
            "update fleet.payment_keys set provider = $1 where provider = 'app'",
            RENAME_ENTRIES,
        ):
            await superuser.execute(update, provider)
        await superuser.execute("alter table public.ledger_entries enable trigger all")

    return record


@pytest.mark.parametrize("provider", ["Stripe", "STRIPE", "stripe ", "backend"])
async def test_an_event_of_a_purchase_with_an_old_name_is_held_not_dead(
    books: Books, old_purchase: OldPurchase, provider: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    await old_purchase(buyer, payment.intent, provider)
    facts = (payment.bought(buyer), payment.bought(buyer))
    assert await books.apply(*facts) == [ID_CONFLICT] * 2
    assert await books.apply_one(payment.bought(buyer)) == ID_CONFLICT
    assert await books.coins(buyer) == COINS


@pytest.mark.long_but_first
@pytest.mark.parametrize("provider", ["Stripe", "STRIPE", "stripe "])
@pytest.mark.parametrize("first", ["refund", "event"])
async def test_a_refund_of_a_purchase_with_an_old_spelling_takes_its_coins(
    books: Books, old_purchase: OldPurchase, provider: str, first: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    await old_purchase(buyer, payment.intent, provider)
    if first == "event":
        await books.apply_one(payment.bought(buyer))
    assert await books.apply_one(payment.refund(40)) == APPLIED
    assert await books.coins(buyer) == 60
    assert await books.apply_one(payment.dispute(100, -100)) == APPLIED
    assert await books.coins(buyer) == 0


async def test_a_refund_that_waited_is_settled_when_the_old_purchase_is_found(
    books: Books, old_purchase: OldPurchase
) -> None:
    buyer, payment = await books.profile(), Payment()
    (refund,) = await books.receive(payment.refund(40))
    assert await books.work() == {refund: NO_PURCHASE_YET}
    await old_purchase(buyer, payment.intent, "Stripe")
    assert await books.apply_one(payment.bought(buyer)) == ID_CONFLICT
    assert await books.outcome(refund) == APPLIED
    assert await books.coins(buyer) == 60


@pytest.mark.long_but_first
@pytest.mark.parametrize("clash", ["payment", "event", "charge"])
@pytest.mark.parametrize("provider", ["app", "apple", "google"])
async def test_an_event_whose_ids_another_provider_has_is_held(
    books: Books, backend: Connection, provider: str, clash: str
) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    names = {"payment": payment.intent, "charge": payment.charge}
    event = "evt_1" if clash == "event" else "evt_other"
    await buy(backend, other, event, names.get(clash, "pay"), provider=provider)
    await books.receive(payment.bought(buyer), ids=["evt_1"])
    assert list((await books.work()).values()) == [ID_CONFLICT]
    assert (await books.coins(buyer), await books.coins(other)) == (0, COINS)


async def test_an_event_recorded_for_another_payment_is_held_and_loses_nothing(
    books: Books, backend: Connection
) -> None:
    buyer, first, second = await books.profile(), Payment(), Payment()
    await buy(backend, buyer, "evt_1", first.intent, provider="stripe")
    (held,) = await books.receive(second.bought(buyer), ids=["evt_1"])
    assert await books.work() == {held: ID_CONFLICT}
    # Its payment's other event has ids of its own, grants it and closes the held one.
    assert await books.apply_one(second.bought(buyer)) == APPLIED
    assert await books.outcome(held) == DUPLICATE
    assert await books.coins(buyer) == 2 * COINS
    await books.apply_one(second.refund(40))
    assert await books.coins(buyer) == 160


async def test_a_session_that_is_recorded_while_its_event_waits_for_the_buyer_is_no_conflict(
    books: Books, backend: Connection, connect: Connect
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.refund(40))
    (event_id,) = await books.receive(payment.bought(buyer), ids=["evt_1"])
    _, outcomes = await second_waits_for_first(
        await connect("superuser"),
        first=backend,
        first_work=buy(backend, buyer, "evt_1", "cs_1", provider="stripe"),
        second=books.db,
        second_work=books.work(),
    )
    assert outcomes == {event_id: Outcome("pending")}
    books.wait(seconds=1)
    assert await books.work() == {event_id: DUPLICATE}
    assert await books.coins(buyer) == 60
    assert await books.breaches() == {}


async def test_beside_an_event_with_ids_of_its_own_a_clashing_one_is_a_duplicate(
    books: Books, backend: Connection
) -> None:
    buyer, first, second = await books.profile(), Payment(), Payment()
    await buy(backend, buyer, "evt_1", first.intent, provider="stripe")
    await books.receive(second.bought(buyer), second.bought(buyer), ids=["evt_1", "evt_2"])
    assert list((await books.work()).values()) == [DUPLICATE, APPLIED]
    assert await books.coins(buyer) == 2 * COINS


async def test_events_of_two_providers_with_one_id_do_not_fail(books: Books) -> None:
    buyer, first, second = await books.profile(), Payment(), Payment()
    await books.receive(first.bought(buyer), ids=["evt_1"])
    await books.db.execute("update fleet.inbox_events set provider = 'apple'")
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('apple', 'coins_100', 100, 100)"
    )
    await books.receive(second.bought(buyer), ids=["evt_1"])
    assert sorted((await books.work()).values()) == [APPLIED, ID_CONFLICT]
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize("told", [{"sku": None}, {"profile_id": None}])
async def test_half_of_a_payment_whose_ids_are_taken_waits_for_nothing(
    books: Books, backend: Connection, told: dict[str, Any]
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_other", payment.intent)
    assert await books.apply_one(payment.bought(buyer, **told)) == ID_CONFLICT


@pytest.mark.long_but_first
@pytest.mark.parametrize("clash", ["payment", "event", "charge"])
@pytest.mark.parametrize("first", ["refund", "decision"])
async def test_a_person_says_that_a_clashing_event_is_the_same_payment(
    books: Books, backend: Connection, clash: str, first: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    names = {"payment": payment.intent, "charge": payment.charge}
    event = "evt_1" if clash == "event" else "evt_other"
    await buy(backend, buyer, event, names.get(clash, "pay"), provider="app")
    (held,) = await books.receive(payment.bought(buyer), ids=["evt_1"])
    await books.work()
    if first == "refund":
        assert await books.apply_one(payment.refund(40)) == NO_PURCHASE_YET
    assert await books.db.fetchval(CLOSE, held, "ann", "the app sent it") is not None
    if first == "decision":
        assert await books.apply_one(payment.refund(40)) == APPLIED
    assert await books.coins(buyer) == 60
    assert await books.outcome(held) == DUPLICATE
    assert not await books.db.fetchval(
        "select exists (select from fleet.inbox_events where state in ('held', 'waiting'))"
    )
    kept = await books.db.fetchrow("select closed_by, closed_reason from fleet.joined_purchases")
    assert tuple(kept or ()) == ("ann", "the app sent it")


async def test_a_clashing_payment_that_is_refunded_whole_is_named_until_a_person_says_whose_it_is(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_other", payment.intent, provider="app")
    (held,) = await books.receive(payment.bought(buyer))
    await books.work()
    await books.apply_one(payment.refund(100))
    assert await books.outcome(held) == Outcome("applied", "refunded_while_held")
    assert (await books.coins(buyer), list(await books.breaches())) == (
        COINS,
        ["refunds_reach_their_purchase"],
    )
    await books.db.execute(CLOSE, held, "ann", "the app sent it")
    assert await books.coins(buyer) == 0


async def test_a_part_refund_of_a_clashing_payment_waits_as_long_as_the_decision(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_1", "pay", provider="app")
    (held, refund) = await books.receive(
        payment.bought(buyer), payment.refund(40), ids=["evt_1", "evt_2"]
    )
    assert await books.work() == {held: ID_CONFLICT, refund: NO_PURCHASE_YET}
    for _ in range(2):
        books.wait(days=36)
        assert await books.wake() == 1
        assert await books.work() == {refund: NO_PURCHASE_YET}
    await books.db.execute(CLOSE, held, "ann", "the same")
    assert await books.coins(buyer) == 60


async def test_a_refund_alone_of_a_purchase_recorded_for_another_provider_is_found(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_other", payment.intent, provider="app")
    (refund,) = await books.receive(payment.refund(40))
    assert await books.work() == {refund: NO_PURCHASE_YET}
    assert list(await books.breaches()) == ["refunds_reach_their_purchase"]
    await books.db.execute(CLOSE, refund, "ann", "the app sent it")
    assert (await books.coins(buyer), await books.outcome(refund)) == (60, APPLIED)


async def test_a_name_of_another_providers_payment_is_a_conflict(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    # Its purchase is recorded under the intent, and the charge is one more name of it.
    call = buy(backend, buyer, "evt_app", payment.charge, provider="app")
    assert isinstance(await refused(call), IdempotencyConflict)
    assert await books.coins(buyer) == COINS


async def test_only_a_clash_of_ids_is_closed_so(books: Books) -> None:
    (event_id,) = await books.receive(Payment().bought(None, buyer_unreadable=True))
    await books.work()
    for arguments in ((event_id, "ann", "x"), (404, "ann", "x"), (event_id, " ", "x")):
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await books.db.execute(CLOSE, *arguments)


async def test_the_names_of_providers_are_checked_by_the_tables_too(books: Books) -> None:
    rows = await books.db.fetch(
        "select conrelid::regclass::text as name, convalidated from pg_constraint"
        " where conname = 'provider_known' and connamespace = 'public'::regnamespace"
    )
    assert {(row["name"], row["convalidated"]) for row in rows} == {
        ("coin_purchases", False),
        ("coin_packages", False),
    }
