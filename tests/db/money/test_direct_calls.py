"""Ids and keys of direct calls: a repetition with other facts is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from db.errors import IdempotencyConflict, InsufficientCoins
from tests.db.books import COINS, DUPLICATE, ROSE, SHORT, Books, Outcome, Payment, gift
from tests.db.money.calls import buy, give
from tests.db.money.refusals import refused
from tests.db.races import second_waits_for_first

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C3")

MOST = 2**63 - 1
KEYS = "select key from fleet.payment_keys order by key"


@pytest.fixture
async def backend(signed_in: SignIn) -> Connection:
    """The platform's backend, with the service key."""
    return await signed_in(role="service_role")


@pytest.fixture
async def observer(connect: Connect) -> Connection:
    """A connection that sees which session waits for which."""
    return await connect("superuser")


# Gifts


OTHER_PLACES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"slot": 1}, {"slot": 2}),
    ({"slot": 1}, {}),
    ({}, {"slot": 1}),
    ({"stream": "one"}, {"stream": "other"}),
    ({"stream": "one"}, {}),
    ({}, {"stream": "one"}),
    ({"stream": "one", "slot": 1}, {"stream": "one", "slot": 2}),
]


async def test_a_gifts_key_for_another_stream_or_slot_is_a_conflict(
    books: Books, signed_in: SignIn
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    streams = {
        name: await books.db.fetchval(
            "insert into public.live_streams (profile_id) values ($1) returning id", streamer
        )
        for name in ("one", "other")
    }

    def told(arguments: dict[str, Any]) -> dict[str, Any]:
        return {name: streams.get(value, value) for name, value in arguments.items()}

    viewer = await signed_in(sender)
    for number, (first, second) in enumerate(OTHER_PLACES):
        key = f"key-{number}"
        await give(viewer, streamer, key, **told(first))
        again = give(viewer, streamer, key, **told(second))
        assert isinstance(await refused(again), IdempotencyConflict)
        assert (await give(viewer, streamer, key, **told(first)))[1]
    assert await books.coins(sender) == 3


@pytest.mark.long_but_first
@pytest.mark.parametrize("sub", ["me", "", "5", "auth0|123", "6f9619ff-8b86-4011-b42d"])
async def test_a_token_whose_subject_is_no_uuid_is_refused_clearly(
    books: Books, connect: Connect, sub: str
) -> None:
    streamer = await books.profile()
    client = await connect("authenticator")
    await client.execute(
        "select set_config('role', 'authenticated', false),"
        " set_config('request.jwt.claims', $1, false)",
        json.dumps({"role": "authenticated", "sub": sub}),
    )
    for call in (
        f"select public.process_gift('{streamer}', '{ROSE}', 'key')",
        "select public.update_viewer_heartbeat(1, true, true, true, true)",
        "select * from public.ledger_entries",
    ):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await client.fetch(call)
        # PostgREST answers 400 to the first and 403 to the other.
        assert caught.value.sqlstate in ("22P02", "42501"), call


async def test_an_event_of_the_app_does_not_use_up_a_viewers_key(
    books: Books, signed_in: SignIn
) -> None:
    mallory, victim, streamer = await books.profiles(3, coins=10)
    (event_id,) = await books.receive(gift(mallory, streamer, 1), ids=[f"client:{victim}:key"])
    assert await books.work() == {event_id: Outcome("rejected", "reserved_event_id")}
    assert await give(await signed_in(victim), streamer, quantity=2) == (8, False)
    assert await books.coins(mallory) == 10


@pytest.mark.long_but_first
@pytest.mark.parametrize("rest", ["", "x", "{sender}", "{sender}:", "{sender}:key", "a:b:c"])
async def test_no_event_of_the_app_is_taken_for_a_viewers_own_gift(
    books: Books, signed_in: SignIn, rest: str
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await give(await signed_in(sender), streamer)
    event = f"client:{rest.format(sender=sender)}"
    await books.receive(gift(sender, streamer, 1), ids=[event])
    assert list((await books.work()).values()) == [Outcome("rejected", "reserved_event_id")]
    assert await books.coins(sender) == 9


@pytest.mark.long_but_first
@pytest.mark.parametrize("cost", [MOST, MOST - 1, 2**62])
async def test_a_debtors_most_expensive_gift_is_refused_for_want_of_coins(
    books: Books, signed_in: SignIn, cost: int
) -> None:
    debtor, streamer = await books.profile(), await books.profile()
    payment = Payment()
    await books.apply(payment.bought(debtor), gift(debtor, streamer, COINS))
    await books.apply_one(payment.refund(100))
    assert await books.coins(debtor) == -COINS
    await books.db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('sun', 'Sun', $1)", cost
    )
    assert await books.apply_one(gift(debtor, streamer, gift_type="sun")) == SHORT
    viewer = await signed_in(debtor)
    assert isinstance(await refused(give(viewer, streamer, gift_type="sun")), InsufficientCoins)


# Adjustments


@pytest.mark.long_but_first
@pytest.mark.parametrize("amount", [-MOST, -MOST - 1, -101])
async def test_a_debtors_largest_adjustment_is_refused_for_want_of_coins(
    books: Books, amount: int
) -> None:
    debtor, streamer = await books.profile(), await books.profile()
    payment = Payment()
    await books.apply(payment.bought(debtor), gift(debtor, streamer, COINS))
    await books.apply_one(payment.refund(100))
    assert isinstance(await refused(books.adjust(debtor, amount)), InsufficientCoins)


@pytest.mark.parametrize("first", ["adjustments", "coins_issued", "platform_revenue"])
@pytest.mark.parametrize("second", ["adjustments", "coins_issued", "platform_revenue"])
async def test_an_adjustments_key_for_another_platform_account_is_a_conflict(
    books: Books, first: str, second: str
) -> None:
    person = await books.profile()
    adjust = "select public.update_coin_balance_via_ledger($1, 5, 'gift card', 'once', $2)"
    assert await books.db.fetchval(adjust, person, first) == 5
    if first == second:
        assert await books.db.fetchval(adjust, person, second) == 5
    else:
        told_again = books.db.fetchval(adjust, person, second)
        assert isinstance(await refused(told_again), IdempotencyConflict)
    assert await books.coins(person) == 5


async def test_a_key_used_for_two_profiles_at_once_is_a_conflict(
    books: Books, observer: Connection, connect: Connect
) -> None:
    one, other = await books.profiles(2)
    second = Books(await connect("owner"))
    first = Books(await connect("owner"))

    async def adjust_other() -> object:
        return await refused(second.adjust(other, 5, key="once"))

    results = await second_waits_for_first(
        observer,
        first=first.db,
        first_work=first.adjust(one, 5, key="once"),
        second=second.db,
        second_work=adjust_other(),
    )
    assert results[0] == 5
    assert isinstance(results[1], IdempotencyConflict)
    assert (await books.coins(one), await books.coins(other)) == (5, 0)


# Names of providers


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "provider",
    [
        "Stripe",
        "STRIPE",
        " stripe",
        "stripe ",
        "Apple",
        "paypal",
        "backend",
        "test",
        "",
        "stripe:x",
    ],
)
async def test_a_purchase_under_a_name_that_is_no_providers_is_refused(
    books: Books, backend: Connection, provider: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await buy(backend, buyer, provider=provider, payment=payment.intent)
    assert await books.db.fetch(KEYS) == []
    await books.apply_one(payment.bought(buyer))
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize("provider", ["stripe", "apple", "google", "app"])
async def test_a_purchase_is_recorded_under_each_providers_name(
    books: Books, backend: Connection, provider: str
) -> None:
    buyer = await books.profile()
    assert await buy(backend, buyer, provider=provider) == ("confirmed", COINS, False)


async def test_a_payment_id_can_not_pass_for_an_event(books: Books, backend: Connection) -> None:
    buyer = await books.profile()
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await buy(backend, buyer, "evt_1", "event:evt_2")


# Purchases repeated with other facts


@pytest.mark.parametrize(("event", "payment"), [("evt", "pay"), ("new", "pay"), ("evt", "new")])
@pytest.mark.parametrize("changed", ["buyer", "coins", "provider"])
async def test_a_purchases_ids_for_other_facts_are_a_conflict(
    books: Books, backend: Connection, event: str, payment: str, changed: str
) -> None:
    buyer, other = await books.profiles(2)
    await buy(backend, buyer)
    call = {
        "buyer": buy(backend, other, event, payment),
        "coins": buy(backend, buyer, event, payment, coins=COINS + 1),
        "provider": buy(backend, buyer, event, payment, provider="google"),
    }
    error = await refused(call.pop(changed))
    for unused in call.values():
        unused.close()
    assert isinstance(error, IdempotencyConflict)
    assert (await books.coins(buyer), await books.coins(other)) == (COINS, 0)
    assert await buy(backend, buyer) == ("confirmed", COINS, True)


@pytest.mark.parametrize("event", ["evt_hook", "evt_rpc"])
@pytest.mark.parametrize("units", [1, 30_000])
async def test_what_a_webhook_recorded_is_a_conflict_with_other_facts(
    books: Books, backend: Connection, event: str, units: int
) -> None:
    buyer, other = await books.profiles(2)
    payment = Payment()
    await books.receive(payment.bought(buyer, units=units), ids=["evt_hook"])
    await books.work()
    ids = {"event": event, "payment": payment.intent, "provider": "stripe"}
    coins = units * COINS
    for conflict in (buy(backend, other, coins=coins, **ids), buy(backend, buyer, coins=7, **ids)):
        assert isinstance(await refused(conflict), IdempotencyConflict)
    status, balance = ("confirmed", COINS) if units == 1 else ("pending", 0)
    assert await buy(backend, buyer, coins=coins, **ids) == (status, balance, True)


@pytest.mark.parametrize("event", ["evt_hook", "evt_rpc"])
async def test_a_call_that_names_the_buyer_closes_the_event_that_was_held_without(
    books: Books, backend: Connection, event: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    (held,) = await books.receive(payment.bought(None, buyer_unreadable=True), ids=["evt_hook"])
    assert await books.work() == {held: Outcome("held", "unknown_buyer")}
    await buy(backend, buyer, event, payment.intent, provider="stripe")
    assert await books.outcome(held) == DUPLICATE
    assert await books.coins(buyer) == COINS


async def test_another_price_alone_is_the_same_purchase(books: Books, backend: Connection) -> None:
    buyer = await books.profile()
    await buy(backend, buyer)
    assert await buy(backend, buyer, usd="9.99") == ("confirmed", COINS, True)


async def test_one_event_with_two_payments_is_a_conflict_and_joins_nothing(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_1", "pi_first", provider="stripe")
    second = buy(backend, buyer, "evt_1", payment.intent, provider="stripe")
    assert isinstance(await refused(second), IdempotencyConflict)
    assert payment.intent not in [row["key"] for row in await books.db.fetch(KEYS)]
    # So the second payment's own event still grants it.
    await books.apply_one(payment.bought(buyer))
    assert await books.coins(buyer) == 2 * COINS


async def test_a_payment_that_an_old_call_lost_is_found_and_can_be_granted(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_1", "pi_first", provider="stripe")
    # As the last release recorded a second call with the same event.
    await books.db.execute(
        "insert into fleet.payment_keys (provider, key, payment_id)"
        " select 'stripe', $1, payment_id from public.coin_purchases",
        payment.intent,
    )
    (lost,) = await books.receive(payment.bought(buyer))
    assert await books.work() == {lost: DUPLICATE}
    (found,) = (await books.breaches())["payments_have_one_intent"]
    assert payment.intent in found
    await books.db.execute("delete from fleet.payment_keys where key = any($1)", payment.keys)
    await books.db.execute("update fleet.inbox_events set state = 'pending' where id = $1", lost)
    assert list((await books.work()).values()) == [Outcome("applied")]
    assert await books.coins(buyer) == 2 * COINS


@pytest.mark.parametrize("told", ["webhook", "another call"])
async def test_an_event_of_another_payment_is_a_conflict_however_it_was_told(
    books: Books, backend: Connection, told: str
) -> None:
    buyer, first, second = await books.profile(), Payment(), Payment()
    if told == "webhook":
        await books.receive(first.bought(buyer), ids=["evt_1"])
        await books.work()
    else:
        await buy(backend, buyer, "evt_0", first.intent, provider="stripe")
        assert await buy(backend, buyer, "evt_1", first.intent, provider="stripe") == (
            "confirmed",
            COINS,
            True,
        )
    wrong = buy(backend, buyer, "evt_1", second.intent, provider="stripe")
    assert isinstance(await refused(wrong), IdempotencyConflict)
    await books.apply_one(second.bought(buyer))
    assert await books.coins(buyer) == 2 * COINS


async def test_two_payments_each_recorded_are_a_conflict_in_one_call(
    books: Books, backend: Connection
) -> None:
    buyer = await books.profile()
    await buy(backend, buyer, "evt_1", "pi_1", provider="stripe")
    await buy(backend, buyer, "evt_2", "pi_2", provider="stripe")
    wrong = buy(backend, buyer, "evt_1", "pi_2", provider="stripe")
    assert isinstance(await refused(wrong), IdempotencyConflict)
    assert await books.coins(buyer) == 2 * COINS


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("event", "payment", "provider", "other"),
    [
        ("evt", "new", "app", "same"),
        ("evt", "pay", "app", "other"),
        ("evt", "new", "google", "same"),
        ("new", "pay", "google", "same"),
        # Another provider and another buyer: no lock but that of the id itself is waited for.
        ("evt", "new", "google", "other"),
        ("new", "pay", "google", "other"),
    ],
)
async def test_ids_that_clash_at_once_are_a_conflict(  # noqa: PLR0917
    books: Books,
    observer: Connection,
    signed_in: SignIn,
    event: str,
    payment: str,
    provider: str,
    other: str,
) -> None:
    buyer, somebody = await books.profiles(2)
    one, two = await signed_in(role="service_role"), await signed_in(role="service_role")

    async def clash() -> object:
        profile: UUID = buyer if other == "same" else somebody
        return await refused(buy(two, profile, event, payment, provider=provider))

    results = await second_waits_for_first(
        observer, first=one, first_work=buy(one, buyer), second=two, second_work=clash()
    )
    assert results[0] == ("confirmed", COINS, False)
    assert isinstance(results[1], IdempotencyConflict)
    assert await books.coins(buyer) == COINS
