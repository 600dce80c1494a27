"""Purchases and adjustments by calls: as each API role, with each refusal, and repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from db.errors import (
    PurchaseOverLimit,
    PurchaseVelocity,
    UnknownProfile,
)
from tests.clusters import LOGINS
from tests.db.books import COINS, DUPLICATE, Books, Outcome, Payment
from tests.db.money.calls import buy
from tests.db.money.refusals import refused

if TYPE_CHECKING:
    from tests.clusters import Login
    from tests.conftest import Connect, SignIn


async def test_a_recorded_purchase_credits_its_coins(books: Books, signed_in: SignIn) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    assert await buy(backend, buyer) == ("confirmed", 100, False)
    kept = await books.db.fetchrow("select * from public.coin_purchases")
    assert kept is not None
    assert (str(kept["usd_amount"]), kept["provider"], str(kept["ip_address"])) == (
        "1.00",
        "app",
        "203.0.113.7",
    )


@pytest.mark.parametrize(("event", "payment"), [("evt", "pay"), ("new", "pay")])
async def test_a_purchase_told_again_by_event_or_payment_credits_nothing(
    books: Books, signed_in: SignIn, event: str, payment: str
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    await buy(backend, buyer)
    assert await buy(backend, buyer, event, payment) == ("confirmed", 100, True)


async def test_an_id_that_was_copied_wrongly_is_refused(
    books: Books, signed_in: SignIn, subtests: pytest.Subtests
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    for copied in (
        *("{}\n", "{}\r\n", " {}", "{} ", "\t{}", " ", "{}\u00a0", "\ufeff{}", "{}\u200b"),
        *("{0}\x1f{0}", "{0}\u200d{0}"),
    ):
        for event, payment in (("evt", copied.format("pay")), (copied.format("evt"), "pay")):
            with (
                subtests.test(event=ascii(event), payment=ascii(payment)),
                pytest.raises(asyncpg.InvalidParameterValueError, match="no blanks around it"),
            ):
                await buy(backend, buyer, event, payment)
    assert await books.coins(buyer) == 0
    assert await buy(backend, buyer, "an event", "order 7/é") == ("confirmed", COINS, False)


async def test_a_purchase_by_rpc_and_its_webhook_are_one(books: Books, signed_in: SignIn) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await backend.execute(
        "select public.process_coin_purchase($1, 'stripe', 'evt_rpc', $2, 100, 1.00)",
        buyer,
        payment.intent,
    )
    assert await books.apply_one(payment.bought(buyer)) == DUPLICATE
    await books.apply_one(payment.refund(40))
    assert await books.coins(buyer) == 60


async def test_the_webhook_of_a_purchase_that_its_rpc_held_is_held_too(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await backend.execute(
        "select public.process_coin_purchase($1, 'stripe', 'evt_both', $2, 100, 30000.00)",
        buyer,
        payment.intent,
    )
    await books.receive(payment.worth(buyer, 30_000), ids=["evt_both"])
    assert list((await books.work()).values()) == [Outcome("held", "needs_approval")]


async def test_a_purchase_held_for_velocity_by_its_webhook_is_known_to_the_rpc(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await books.apply(*(Payment().bought(buyer) for _ in range(5)))
    await books.receive(payment.bought(buyer), ids=["evt_both"])
    await books.work()
    row = await backend.fetchrow(
        "select * from public.process_coin_purchase($1, 'stripe', 'evt_both', $2, 100, 1.00)",
        buyer,
        payment.intent,
    )
    assert row is not None
    assert (row["status"], row["replayed"]) == ("pending", True)


RECORD_BY_SESSION = "select * from process_coin_purchase($1, 'stripe', 'evt', 'cs', 100, 1.00)"


async def test_a_purchase_recorded_under_another_payment_id_is_known_by_its_event(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await books.receive(payment.bought(buyer), ids=["evt"])
    await books.work()
    row = await backend.fetchrow(RECORD_BY_SESSION, buyer)
    assert row is not None
    assert (row["replayed"], row["coin_balance"]) == (True, 100)


async def test_an_event_that_was_recorded_under_another_payment_id_is_a_duplicate(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await backend.execute(RECORD_BY_SESSION, buyer)
    (event_id,) = await books.receive(payment.bought(buyer), ids=["evt"])
    assert await books.work() == {event_id: DUPLICATE}
    await books.apply(payment.refund(40))
    assert await books.coins(buyer) == 60


async def test_a_recorded_purchase_counts_the_refund_that_came_first(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend, payment = await books.profile(), await signed_in(role="service_role"), Payment()
    await books.apply_one(payment.refund(40))
    row = await backend.fetchrow(
        "select * from public.process_coin_purchase($1, 'stripe', 'evt_rpc', $2, 100, 1.00)",
        buyer,
        payment.intent,
    )
    assert row is not None
    assert row["coin_balance"] == 60


@pytest.mark.parametrize(
    ("usd", "status"),
    [("25000.00", "confirmed"), ("25000.01", "pending"), ("50000.00", "pending")],
)
async def test_a_recorded_purchase_above_the_threshold_waits_for_approval(
    books: Books, signed_in: SignIn, usd: str, status: str
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    balance = COINS if status == "confirmed" else 0
    assert await buy(backend, buyer, usd=usd) == (status, balance, False)
    assert await buy(backend, buyer, usd=usd) == (status, balance, True)


async def test_a_recorded_purchase_over_the_limit_is_refused_and_leaves_nothing(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    error = await refused(buy(backend, buyer, usd="50000.01"))
    assert isinstance(error, PurchaseOverLimit)
    assert error.reason == "purchase_over_limit"
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 0
    assert await buy(backend, buyer) == ("confirmed", 100, False)


async def test_the_sixth_recorded_purchase_in_a_minute_is_refused(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    for no in range(5):
        await buy(backend, buyer, f"evt{no}", f"pay{no}")
    assert isinstance(await refused(buy(backend, buyer, "evt5", "pay5")), PurchaseVelocity)
    assert await buy(backend, buyer, "evt4", "pay4") == ("confirmed", 500, True)


async def test_a_recorded_purchase_of_nobody_is_refused(books: Books, signed_in: SignIn) -> None:
    backend = await signed_in(role="service_role")
    assert isinstance(await refused(buy(backend, uuid4())), UnknownProfile)


SENSELESS: tuple[dict[str, Any], ...] = (
    {"event": ""},
    {"payment": ""},
    {"event": "e" * 1001},
    {"payment": "é" * 501},
    {"coins": 0},
    {"coins": -1},
    {"usd": "-0.01"},
    {"usd": "0.001"},
    {"usd": "NaN"},
    {"usd": "10000000000"},
    {"country": "DEU"},
)


async def test_a_recorded_purchase_needs_sensible_arguments(
    books: Books, signed_in: SignIn, subtests: pytest.Subtests
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    for arguments in SENSELESS:
        with subtests.test(**arguments), pytest.raises(asyncpg.InvalidParameterValueError):
            await buy(backend, buyer, **arguments)
    assert await books.coins(buyer) == 0


async def test_a_user_agent_is_cut_off_at_a_thousand_characters(
    books: Books, signed_in: SignIn
) -> None:
    buyer, backend = await books.profile(), await signed_in(role="service_role")
    await backend.fetch(
        "select * from public.process_coin_purchase("
        "p_profile_id => $1, p_provider => 'app', p_provider_event_id => $2,"
        " p_provider_payment_id => $3, p_coin_amount => 5, p_usd_amount => 1, p_user_agent => $4)",
        buyer,
        "e" * 1000,
        "p" * 1000,
        "Mozilla/5.0 " + "x" * 1_000_000,
    )
    kept = await books.db.fetchval("select user_agent from coin_purchases")
    assert kept == "Mozilla/5.0 " + "x" * 988


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_no_client_records_a_purchase(books: Books, signed_in: SignIn, role: str) -> None:
    buyer = await books.profile()
    client = await signed_in(buyer, role=role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await buy(client, buyer)


# update_coin_balance_via_ledger

MOVE = "select public.update_coin_balance_via_ledger($1, 1, 'adjustment', 'key')"


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_no_api_role_moves_a_balance(books: Books, signed_in: SignIn, role: str) -> None:
    profile = await books.profile()
    client = await signed_in(profile, role=role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.execute(MOVE, profile)


@pytest.mark.parametrize("process", LOGINS)
async def test_no_process_adjusts_a_balance(books: Books, connect: Connect, process: Login) -> None:
    profile = await books.profile()
    login = await connect(process)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await login.execute(MOVE, profile)
