"""The database that a benchmark works on: users with coins, a price list, stored events."""

from __future__ import annotations

import random
import time
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from db.connections.pool import open_connection, open_pool
from db.inbox.arrivals import store_arrivals
from tasks.providers.app import App
from tasks.providers.stripe import Stripe
from workers.cli.simulate.events import app_webhook, gift_sent, stripe_webhook
from workers.cli.simulate.stripe import StripePayment, charge_refunded, payment_intent_succeeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from db.inbox.arrivals import Arrival
    from tests.clusters import Database
    from workers.cli.simulate.events import Webhook

USERS = 2_000
COINS_EACH = 1_000_000_000
GIFT_TYPE = "rose"
GIFT_COST = 10
GIFT_SHARE_BPS = 7_000
GIFT_SHARE = GIFT_COST * GIFT_SHARE_BPS // 10_000
SKU = "coins_100"
PRICE_MINOR = 999
YEAR_S = 365 * 24 * 3600
STRIPE_SECRET = "whsec_benchmarks"
APP_SECRET = "whsec_" + b64encode(b"of benchmarks, and nothing else").decode()
PROVIDERS = {
    Stripe.name: Stripe(webhook_secrets=[STRIPE_SECRET]),
    App.name: App(webhook_secrets=[APP_SECRET]),
}
# As a receiver under load stores them.
ARRIVALS_PER_STATEMENT = 200


@dataclass(frozen=True, slots=True)
class Books:
    """A database with users who have enough coins, and connections of each role to it."""

    database: Database
    owner: Connection
    web: Pool
    worker: Pool
    users: Sequence[UUID]
    random: random.Random = field(default_factory=lambda: random.Random(2))

    def gift(self, *, recipient: UUID | None = None) -> Webhook:
        """A signed gift between two users; the recipient may be named."""
        sender, other = self.random.sample(self.users, 2)
        if recipient is not None:
            sender, other = (sender if sender != recipient else other), recipient
        event = gift_sent(sender_id=sender, recipient_id=other, gift_type=GIFT_TYPE)
        return app_webhook(f"msg_{uuid4().hex}", event, secret=APP_SECRET, at_s=time.time())

    def payment(self, *, buyer: UUID | None = None) -> StripePayment:
        """A payment of some time ago, so that nobody breaks the velocity rule."""
        return StripePayment(
            key=uuid4().hex[:24],
            amount_minor=PRICE_MINOR,
            created_s=int(time.time()) - self.random.randrange(YEAR_S),
            metadata={"profile_id": str(buyer or self.random.choice(self.users)), "sku": SKU},
        )

    def purchase(self, payment: StripePayment | None = None) -> Webhook:
        """A signed purchase: of this payment, or of a new one by anybody."""
        event = payment_intent_succeeded(payment or self.payment())
        return stripe_webhook(event, secret=STRIPE_SECRET, at_s=time.time())

    def refund(self, payment: StripePayment) -> Webhook:
        """A signed refund of the whole payment."""
        now_s = int(time.time())
        event = charge_refunded(payment, amount_refunded=payment.amount_minor, created_s=now_s)
        return stripe_webhook(event, secret=STRIPE_SECRET, at_s=now_s)

    async def receive(self, webhooks: Sequence[Webhook]) -> None:
        """Verify and store webhooks as the receiver does, without the receiver."""
        arrivals = [_verified(webhook) for webhook in webhooks]
        for start in range(0, len(arrivals), ARRIVALS_PER_STATEMENT):
            await store_arrivals(self.web, arrivals[start : start + ARRIVALS_PER_STATEMENT])

    async def vacuum(self) -> None:
        """Do now what autovacuum would do at some time: it must not affect one side only."""
        await self.owner.execute("vacuum (analyze) fleet.inbox_events")
        await self.owner.execute("vacuum (analyze) public.profiles")

    async def breaches(self) -> dict[str, int]:
        """Count the rows of each invariant that has any."""
        views = await self.owner.fetch(
            "select table_name from information_schema.views where table_schema = 'invariants'"
        )
        counts = {
            name: await self.owner.fetchval(f"select count(*) from invariants.{name}")
            for (name,) in views
        }
        return {name: count for name, count in counts.items() if count}


def _verified(webhook: Webhook) -> Arrival:
    provider = webhook.path.rpartition("/")[2]
    headers = {name.encode(): value.encode() for name, value in webhook.headers.items()}
    return PROVIDERS[provider].verify(webhook.body, headers, now_s=time.time())


@asynccontextmanager
async def open_books(database: Database, *, users: int = USERS) -> AsyncIterator[Books]:
    """Fill a fresh database and connect to it."""
    owner = await open_connection(database.url(), application_name="bench")
    web = await open_pool(database.url("web"), application_name="bench web", max_size=2)
    worker = await open_pool(database.url("worker"), application_name="bench worker", max_size=4)
    try:
        yield Books(database, owner, web, worker, await fill(owner, users=users))
    finally:
        worker.terminate()
        web.terminate()
        owner.terminate()


async def fill(owner: Connection, *, users: int) -> list[UUID]:
    """Write the price list and make users with coins; return their ids."""
    await owner.execute(
        "insert into public.gift_types (code, name, coin_cost, streamer_share_bps)"
        " values ($1, $1, $2, $3)",
        GIFT_TYPE,
        GIFT_COST,
        GIFT_SHARE_BPS,
    )
    await owner.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', $1, 100, $2, 'usd')",
        SKU,
        PRICE_MINOR,
    )
    ids = [uuid4() for _ in range(users)]
    await owner.execute("insert into auth.users (id) select unnest($1::uuid[])", ids)
    await owner.execute(
        "select public.update_coin_balance_via_ledger(id, $1, 'adjustment', 'bench:' || id)"
        " from public.profiles",
        COINS_EACH,
    )
    await owner.execute("vacuum (analyze)")
    return ids
