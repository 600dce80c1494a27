"""The database that a benchmark works on: users with coins, a price list, gifts waiting."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from db.inbox import store_arrivals
from db.pool import open_connection, open_pool
from tasks.providers import app
from workers.cli.simulated_events import app_webhook, gift_sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.inbox import Arrival
    from db.pool import Connection, Pool
    from tests.clusters import Database

USERS = 2_000
COINS_EACH = 1_000_000_000
GIFT_TYPE = "rose"
GIFT_COST = 10
SKU = "coins_100"
PRICE_MINOR = 999
APP_SECRET = "whsec_" + "YmVuY2htYXJrcw=="
STRIPE_SECRET = "whsec_benchmarks"
# As a receiver under load stores them.
ARRIVALS_A_STATEMENT = 200


@dataclass(frozen=True, slots=True)
class Books:
    """A database with users who can afford everything, and connections of each role to it."""

    database: Database
    owner: Connection
    web: Pool
    worker: Pool
    users: Sequence[UUID]
    random: random.Random = field(default_factory=lambda: random.Random(2))

    def gifts(self, count: int, *, recipient: UUID | None = None) -> list[Arrival]:
        """Make signed and verified gifts between random users, or all to one."""
        return [self._gift(recipient) for _ in range(count)]

    def _gift(self, recipient: UUID | None) -> Arrival:
        sender, other = self.random.sample(self.users, 2)
        if recipient is not None:
            other = recipient
            sender = sender if sender != recipient else self.users[-1]
        now_s = time.time()
        gift = gift_sent(sender_id=sender, recipient_id=other, gift_type=GIFT_TYPE)
        webhook = app_webhook(f"msg_{uuid4().hex}", gift, secret=APP_SECRET, at_s=now_s)
        headers = {name.encode(): value.encode() for name, value in webhook.headers.items()}
        return app.verify(headers, webhook.body, secrets=[APP_SECRET], now_s=now_s)

    async def receive(self, arrivals: Sequence[Arrival]) -> None:
        """Store arrivals as the receiver does."""
        for start in range(0, len(arrivals), ARRIVALS_A_STATEMENT):
            await store_arrivals(self.web, arrivals[start : start + ARRIVALS_A_STATEMENT])

    async def tidy(self) -> None:
        """Do what autovacuum would do some day, now: it must not hit one side only."""
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
    """Write the price list and make users, each with coins; gives their ids."""
    await owner.execute(
        "insert into public.gift_types (code, name, coin_cost, streamer_share_bps)"
        " values ($1, $1, $2, 7000)",
        GIFT_TYPE,
        GIFT_COST,
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
