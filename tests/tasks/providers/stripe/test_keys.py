"""Whose account the key is of: with another's key nothing is asked, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tasks.backfill import find_missed_events
from tasks.provider_calls import make_provider_calls
from tasks.providers.calls import AccountNotOurs, CallFailed
from tasks.providers.stripe import Stripe
from tests.tasks.contexts import make_context
from workers.mock_providers.stripe import ACCOUNT, KEY, Payment, StripeServer
from workers.running.reports import work_detail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from db.connections.pool import Connection, Pool
    from tasks.context import Context
    from workers.mock_providers.stripe import Fault

MakeStripe: TypeAlias = "Callable[..., Stripe]"
OTHER = "acct_other"
ASKED = ("GET", "/v1/account")


@pytest_asyncio.fixture
async def make_stripe(stripe: StripeServer) -> AsyncIterator[MakeStripe]:
    """Makes Stripe with a key, to which these accounts are ours."""
    made: list[Stripe] = []

    def make(*accounts: str) -> Stripe:
        made.append(Stripe(api_key=KEY, api_base=stripe.base, accounts=accounts))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def make_worker(worker_pool: Pool, provider: Stripe) -> Context:
    return make_context(worker_pool, providers={"stripe": provider})


async def ask_for_refund(db: Connection, stripe: StripeServer) -> None:
    """A decision's refund of a payment waits in the outbox."""
    stripe.payments["pi_1"] = Payment(1_000)
    await db.execute(
        "insert into fleet.provider_calls (kind, key, request) values ('stripe.refund',"
        """ 'coinfleet:refund:1', '{"payment_intent": "pi_1", "decision_id": 1}')"""
    )


async def call(db: Connection) -> dict[str, Any]:
    row = await db.fetchrow("select state, attempts, last_error from fleet.provider_calls")
    assert row is not None
    return dict(row)


UNTOUCHED = {"state": "pending", "attempts": 0, "last_error": None}


async def test_with_a_key_of_another_account_no_refund_is_made_and_an_alarm_is_logged(
    db: Connection, worker_pool: Pool, stripe: StripeServer, make_stripe: MakeStripe
) -> None:
    await ask_for_refund(db, stripe)
    provider = make_stripe(OTHER)
    worker = make_worker(worker_pool, provider)
    with capture_logs() as logs:
        for _ in range(3):
            assert await make_provider_calls(worker) == 0
            assert await find_missed_events(worker) == 0
    # Its list of events is not read either: it is of payments that are not ours.
    assert stripe.requests == [ASKED, ("GET", f"/v1/accounts/{OTHER}")]
    assert await call(db) == UNTOUCHED
    (line,) = [each for each in logs if each["log_level"] == "error"]
    assert line["event"] == "provider_account_not_ours"
    assert (
        line["error"]
        == f"STRIPE_API_KEY is a key of {ACCOUNT}, which STRIPE_ACCOUNTS does not list"
    )
    (fault,) = work_detail(worker.meter).faults
    assert (fault.provider, fault.fault) == ("stripe", line["error"])
    assert KEY not in str(logs)


async def test_after_a_restart_with_the_right_settings_it_is_made_at_once(
    db: Connection, worker_pool: Pool, stripe: StripeServer, make_stripe: MakeStripe
) -> None:
    await ask_for_refund(db, stripe)
    wrong, right = make_stripe(OTHER), make_stripe(OTHER, ACCOUNT)
    assert await make_provider_calls(make_worker(worker_pool, wrong)) == 0
    worker = make_worker(worker_pool, right)
    assert await make_provider_calls(worker) == 1
    assert stripe.refunded("pi_1") == 1_000
    assert work_detail(worker.meter).faults == ()


async def test_the_key_of_a_platform_is_ours_if_an_account_connected_to_it_is_listed(
    db: Connection, worker_pool: Pool, stripe: StripeServer, make_stripe: MakeStripe
) -> None:
    await ask_for_refund(db, stripe)
    stripe.objects[f"/v1/accounts/{OTHER}"] = {"id": OTHER, "object": "account"}
    provider = make_stripe("acct_closed", OTHER)
    assert await make_provider_calls(make_worker(worker_pool, provider)) == 1
    assert stripe.refunded("pi_1") == 1_000


async def test_the_account_is_asked_for_once(stripe: StripeServer, make_stripe: MakeStripe) -> None:
    provider = make_stripe(ACCOUNT)
    for _ in range(3):
        await provider.check_account()
    assert stripe.requests == [ASKED]


async def test_without_accounts_of_ours_nothing_is_asked(
    stripe: StripeServer, make_stripe: MakeStripe
) -> None:
    provider = make_stripe()
    await provider.check_account()
    assert stripe.requests == []
    await Stripe(accounts=[OTHER]).check_account()


@pytest.mark.parametrize("fault", ["unavailable", "throttled", "empty", "malformed", "conflict"])
async def test_while_nobody_says_whose_the_key_is_calls_wait(
    db: Connection, worker_pool: Pool, stripe: StripeServer, make_stripe: MakeStripe, fault: Fault
) -> None:
    await ask_for_refund(db, stripe)
    provider = make_stripe(OTHER, ACCOUNT)
    stripe.faults, stripe.retry_after = [fault], "0"
    assert await make_provider_calls(make_worker(worker_pool, provider)) == 0
    assert await call(db) == UNTOUCHED
    # It is asked again when the breaker's pause is over, and then all goes on.
    assert await make_provider_calls(make_worker(worker_pool, provider)) == 1
    assert stripe.refunded("pi_1") == 1_000


async def test_a_key_that_may_not_read_its_account_is_trusted(
    db: Connection, worker_pool: Pool, stripe: StripeServer, make_stripe: MakeStripe
) -> None:
    await ask_for_refund(db, stripe)
    provider = make_stripe(OTHER)
    stripe.faults = ["forbidden"]
    with capture_logs() as logs:
        assert await make_provider_calls(make_worker(worker_pool, provider)) == 1
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == [
        "stripe_account_unknown"
    ]


async def test_a_key_that_stripe_refuses_is_an_outage_and_no_other_account(
    stripe: StripeServer,
    make_stripe: MakeStripe,
) -> None:
    provider = make_stripe(ACCOUNT)
    stripe.faults = ["unauthorized"]
    with pytest.raises(CallFailed):
        await provider.check_account()
    await provider.check_account()
    provider_of_another = make_stripe(OTHER)
    with pytest.raises(AccountNotOurs):
        await provider_of_another.check_account()
