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
STORE_TWO = """
select fleet.store_events(
    '{stripe,stripe}', '{evt_1,evt_2}', '{t,t}', array['{}', '{}']::bytea[],
    array['', '']::bytea[], $1, $2
)
"""


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


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        *((state, None) for state in ("waiting", "held", "applied", "ignored", "dead", None)),
        *(("rejected", reason) for reason in (None, "account_mismatch", "by_decision")),
        *((state, "malformed") for state in ("pending", "held", "applied", "ignored")),
    ],
)
async def test_no_event_is_stored_in_a_state_that_swallows_its_payment(
    web_pool: Pool, state: str | None, reason: str | None
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await web_pool.fetch(STORE_TWO, ["pending", state], [None, reason])


@pytest.mark.parametrize("provider", ["stripe", "apple", "google", "app"])
async def test_the_largest_event_that_a_receiver_accepts_is_stored(
    books: Books, web_pool: Pool, provider: str
) -> None:
    body = b"x" * BODY_BYTES_MAX
    largest = replace(GOOD, provider=provider, event_type="é" * 255, payload=body)
    await store_arrivals(web_pool, [largest])
    assert await books.db.fetchval("select payload from fleet.inbox_events") == body
