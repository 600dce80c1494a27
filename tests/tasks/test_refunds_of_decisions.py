"""A rejected purchase until its end: refunded at Stripe once, closed by the event of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from db.facts import Refund
from tasks.provider_calls import make_provider_calls
from tasks.providers.stripe import Stripe
from tests.db.books import PRICE_LIST, Books, Outcome, Payment
from tests.tasks.contexts import make_context
from tests.tasks.providers.stripe.events import interpret
from workers.mock_providers import stripe as stripe_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from workers.mock_providers.stripe import StripeServer

DOLLARS = 25_001
MINOR = DOLLARS * 100


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with stripe_api.stripe_server() as stripe:
        yield stripe


def refund_event(refund: dict[str, object], created: int) -> Refund:
    """What Stripe's event of this refund means to us."""
    event = {"id": "evt_r", "object": "event", "type": "refund.updated", "created": created}
    fact = interpret(event | {"data": {"object": refund}})
    assert isinstance(fact, Refund)
    return fact


async def test_a_rejected_purchase_is_refunded_once_and_closed_by_stripes_event(
    worker_pool: Pool, db: Connection, stripe: StripeServer
) -> None:
    await db.execute(PRICE_LIST)
    books = Books(db)
    payment = Payment()
    (event_id,) = await books.receive(payment.worth(await books.profile(), DOLLARS))
    await books.work()
    assert await books.outcome(event_id) == Outcome("held", "needs_approval")
    stripe.payments[payment.intent] = stripe_api.Payment(MINOR, refunds_are_pending=True)
    provider = Stripe(api_key=stripe_api.KEY, api_base=stripe.base)
    context = make_context(worker_pool, providers={"stripe": provider})

    purchase_id = (await books.purchase(payment))["id"]
    await db.execute(
        "select public.reject_coin_purchase($1, 'ann', 'not the buyer''s card')", purchase_id
    )
    # The answer is lost once.
    stripe.faults = ["malformed"]
    assert await make_provider_calls(context) == 1
    await db.execute("update fleet.provider_calls set next_attempt_at = now()")
    assert await make_provider_calls(context) == 1
    assert await make_provider_calls(context) == 0
    (refund,) = stripe.refunds
    assert refund["amount"] == MINOR
    result = await db.fetchval("select result from fleet.provider_calls where state = 'done'")
    assert json.loads(result)["refund_id"] == refund["id"]
    # Accepted is not refunded.
    assert await books.outcome(event_id) == Outcome("held", "needs_approval")
    assert await books.breaches() == {}

    refund["status"] = "succeeded"
    await books.apply(refund_event(refund, int(stripe.now_s)))
    assert await books.outcome(event_id) == Outcome("rejected", "by_decision")
    assert await books.breaches() == {}
    await provider.close()
