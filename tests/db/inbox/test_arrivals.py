"""The receiver's role, and so its password, can store only events that a receiver accepts."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.inbox.arrivals import Arrival, store_arrivals

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from tests.db.books import Books

GOOD = Arrival("stripe", "good", "test", b"{}", sha256(b"{}").digest())
BODY_BYTES_MAX = 256 * 1024


@pytest.mark.parametrize(
    "changes",
    [
        *({"provider": name} for name in ("Stripe", "stripe ", "app\n", "", "nobody", None)),
        {"payload": None},
        {"payload": b"x" * (BODY_BYTES_MAX + 1)},
        {"event_type": "x" * 256},
    ],
)
async def test_an_event_that_no_receiver_accepts_is_not_stored(
    web_pool: Pool, changes: dict[str, object]
) -> None:
    odd = replace(GOOD, provider_event_id="odd", **changes)  # type: ignore[arg-type]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await store_arrivals(web_pool, [GOOD, odd])


@pytest.mark.parametrize("provider", ["stripe", "apple", "google", "app"])
async def test_the_largest_event_that_a_receiver_accepts_is_stored(
    books: Books, web_pool: Pool, provider: str
) -> None:
    body = b"x" * BODY_BYTES_MAX
    largest = replace(GOOD, provider=provider, event_type="é" * 255, payload=body)
    await store_arrivals(web_pool, [largest])
    assert await books.db.fetchval("select payload from fleet.inbox_events") == body
