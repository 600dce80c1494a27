"""Purchases of known people, delivered one by one, for tests that need to know each event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import httpx

from tests.workers.cli.simulate.plans import SECRETS
from workers.cli.simulate.events import Webhook, stripe_webhook
from workers.cli.simulate.stripe import StripePayment, payment_intent_succeeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection

COINS, PRICE_MINOR = 100, 1_00


@dataclass(frozen=True, slots=True)
class Purchase:
    """A payment for a hundred coins by somebody new."""

    buyer: UUID = field(default_factory=uuid4)

    @property
    def event_id(self) -> str:
        """The event that reports it."""
        return f"evt_{self.buyer.hex}_payment_intent_succeeded"

    def webhook(self) -> Webhook:
        """That event, signed now."""
        payment = StripePayment(
            key=self.buyer.hex,
            amount_minor=PRICE_MINOR,
            created_s=int(time.time()),
            metadata={"profile_id": str(self.buyer), "sku": "coins", "quantity": "1"},
        )
        event = payment_intent_succeeded(payment)
        return stripe_webhook(event, secret=SECRETS.stripe, at_s=time.time())


async def sign_up(db: Connection, number: int) -> list[Purchase]:
    """Sign up so many buyers, and add what they buy to the price list."""
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'coins', $1, $2) on conflict do nothing",
        COINS,
        PRICE_MINOR,
    )
    purchases = [Purchase() for _ in range(number)]
    await db.execute(
        "insert into auth.users (id) select unnest($1::uuid[])", [each.buyer for each in purchases]
    )
    return purchases


async def deliver(client: httpx.AsyncClient, purchases: Sequence[Purchase]) -> None:
    """Deliver their events in this order, each acknowledged before the next."""
    for purchase in purchases:
        webhook = purchase.webhook()
        answer = await client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers)
        )
        assert answer.is_success, answer.text


async def states(db: Connection, purchases: Sequence[Purchase]) -> list[str]:
    """The states of the events, with their reasons."""
    rows = await db.fetch(
        "select provider_event_id, concat_ws(': ', state, reason) as state from fleet.inbox_events"
    )
    state = {row["provider_event_id"]: row["state"] for row in rows}
    return [state[purchase.event_id] for purchase in purchases]


async def coins(db: Connection, purchases: Sequence[Purchase]) -> list[int]:
    """The coins of each buyer."""
    rows = await db.fetch("select id, coin_balance from public.profiles")
    balance = {row["id"]: row["coin_balance"] for row in rows}
    return [balance[purchase.buyer] for purchase in purchases]
