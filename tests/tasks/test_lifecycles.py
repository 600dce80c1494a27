"""Random payments at Stripe: the buyers keep the coins that a model of the account says.

Each event comes twice, in random order, in batches of random size.
"""

from __future__ import annotations

import json
import random
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from db.inbox.arrivals import Arrival, store_arrivals
from tasks.payment_events import process_payment_events
from tests.db.books import breaches
from tests.tasks.contexts import make_context
from tests.tasks.providers.stripe.account import random_payment

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.tasks.providers.stripe.account import Event

COINS, PRICE = 1_000, 999
PAYMENTS = 60


def arrival(event: Event) -> Arrival:
    body = json.dumps(event).encode()
    return Arrival("stripe", event["id"], event["type"], body, sha256(body).digest())


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 11))]
)
async def test_each_payment_ends_where_the_account_says(
    db: Connection, web_pool: Pool, worker_pool: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', 'thousand', $1, $2, 'usd')",
        COINS,
        PRICE,
    )
    payments = {}
    for _ in range(PAYMENTS):
        buyer = uuid4()
        await db.execute("insert into auth.users (id) values ($1)", buyer)
        payments[buyer] = random_payment(rng, {"profile_id": str(buyer), "sku": "thousand"}, PRICE)
    events = [event for payment in payments.values() for event in payment.events] * 2
    rng.shuffle(events)
    while events:
        size = rng.randint(1, 60)
        await store_arrivals(web_pool, [arrival(event) for event in events[:size]])
        del events[:size]
        await process_payment_events(make_context(worker_pool, batch_size=rng.choice([1, 7, 500])))
    balances = {
        row["id"]: row["coin_balance"]
        for row in await db.fetch("select id, coin_balance from public.profiles")
    }
    wrong = {
        str(buyer): (balances[buyer], payment.kept_coins(COINS), payment.events)
        for buyer, payment in payments.items()
        if balances[buyer] != payment.kept_coins(COINS)
    }
    assert wrong == {}
    open_or_dead = await db.fetch(
        "select provider_event_id, state, reason, last_error from fleet.inbox_events"
        " where state not in ('applied', 'ignored')"
    )
    assert open_or_dead == []
    assert await breaches(db) == {}
