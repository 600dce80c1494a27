"""Workers that are killed between a purchase of Google's and what Google is told of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from tasks.providers.google import Google
from tests.conditions import eventually
from tests.db.books import breaches
from tests.faults.fleets import WORKER, kill
from workers.mock_providers.google import Item, account_file, google_server
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.faults.fleets import Fleet
    from tests.workers.processes import Process
    from workers.mock_providers.google import GoogleServer, Sold

pytestmark = pytest.mark.faults

PACKAGE = DEVELOPMENT_SECRETS["GOOGLE_PACKAGES"]
BUYER = UUID(int=11)
COINS = 100


@pytest_asyncio.fixture
async def google() -> AsyncIterator[GoogleServer]:
    """Google's API, without purchases."""
    async with google_server() as google:
        yield google


async def start(fleet: Fleet, google: GoogleServer, folder: Path) -> Process:
    """Start a worker that has the key."""
    return await fleet.start(
        WORKER,
        GOOGLE_API_BASE=google.base,
        GOOGLE_SERVICE_ACCOUNT_FILE=str(account_file(folder, google.base)),
    )


async def submit(db: Connection, sold: Sold, *, price_minor: int) -> None:
    """Have the buyer submit the purchase; its product has this price."""
    await db.execute("insert into auth.users (id) values ($1)", BUYER)
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('google', $1, $2, $3, 'usd')",
        sold.items[0].product_id,
        COINS,
        price_minor,
    )
    body = msgspec.json.encode(
        {"product_id": sold.items[0].product_id, "purchase_token": sold.token}
    )
    arrival = Google().read_submission(body, profile_id=BUYER, now_s=time.time())
    await db.execute(
        "insert into fleet.inbox_events"
        " (provider, provider_event_id, event_type, payload, payload_sha256)"
        " values ('google', $1, $2, $3, $4)",
        arrival.provider_event_id,
        arrival.event_type,
        arrival.payload,
        arrival.payload_sha256,
    )


class Case(NamedTuple):
    """What becomes of a purchase at this price, and what Google is told of it."""

    verb: str
    price_minor: int
    coins: int


@pytest.mark.parametrize(
    "case",
    [Case("consume", 99, COINS), Case("acknowledge", 3_000_000, 0)],
    ids=["between grant and consume", "between hold and acknowledge"],
)
async def test_what_google_was_told_before_its_worker_was_killed_is_told_once(
    fleet: Fleet, google: GoogleServer, db: Connection, tmp_path: Path, case: Case
) -> None:
    sold = google.store.sell(Item("coins"), account_id=str(BUYER), package=PACKAGE)
    await submit(db, sold, price_minor=case.price_minor)
    # The purchase is read; then it is confirmed, and no answer comes.
    google.faults = ["none", "lost"]
    killed = await start(fleet, google, tmp_path)

    async def is_confirmed() -> bool:
        return sold.acknowledged

    await eventually(is_confirmed)
    await kill(killed)
    # Committed before Google was told.
    held = await db.fetchval("select hold_reason from public.coin_purchases")
    assert held == (None if case.coins else "needs_approval")
    # Its lease is over.
    await db.execute("update fleet.provider_calls set next_attempt_at = now(), lease_until = now()")
    other = await start(fleet, google, tmp_path)
    await eventually(
        lambda: db.fetchval("select bool_and(state = 'done') from fleet.provider_calls")
    )
    assert sold.items[0].consumed == (case.verb == "consume")
    assert sold.state == "PURCHASED"
    balance = await db.fetchval("select coin_balance from public.profiles where id = $1", BUYER)
    assert balance == case.coins
    # Refused the second time, it was read what had become of it.
    asked = [path.rpartition(":")[2] if ":" in path else "" for _, path in google.requests]
    assert asked == ["", case.verb, case.verb, ""]
    assert await breaches(db) == {}
    for word in (sold.token, "ya29", "PRIVATE KEY"):
        assert word not in killed.text + other.text


async def test_a_purchase_whose_worker_was_killed_before_it_was_read_is_read_by_another(
    fleet: Fleet, google: GoogleServer, db: Connection, tmp_path: Path
) -> None:
    sold = google.store.sell(Item("coins"), account_id=str(BUYER), package=PACKAGE)
    await submit(db, sold, price_minor=99)
    google.faults = ["lost"]
    killed = await start(fleet, google, tmp_path)

    async def is_asked() -> bool:
        return bool(google.requests)

    await eventually(is_asked)
    await kill(killed)
    await db.execute("update fleet.provider_calls set next_attempt_at = now(), lease_until = now()")
    await start(fleet, google, tmp_path)
    await eventually(
        lambda: db.fetchval(
            "select coin_balance = $2 from public.profiles where id = $1", BUYER, 100
        )
    )
    assert await breaches(db) == {}
