"""The mock's list of events, read with Stripe's own library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
import stripe

from workers.mock_providers.stripe import KEY, StripeServer, stripe_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TYPE = "charge.succeeded"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[StripeServer]:
    """An account with events of two types, one of each per hour."""
    async with stripe_server() as server:
        for _ in range(25):
            server.tell(TYPE, {"id": "ch_1"})
            server.tell("refund.created", {"id": "re_1"})
            server.wait(hours=1)
        yield server


async def listed(server: StripeServer, **asked: object) -> list[str]:
    """Ask for all pages of the list, ten events each."""
    http = stripe.HTTPXClient()
    api = stripe.StripeClient(KEY, base_addresses={"api": server.base}, http_client=http)
    parameters = {"types": [TYPE], "limit": 10} | asked
    first = await api.v1.events.list_async(parameters)  # type: ignore[arg-type]
    found = [event.id async for event in first.auto_paging_iter()]
    await http.close_async()
    return found


async def test_both_directions_list_each_event_once_in_their_order(server: StripeServer) -> None:
    told = [event["id"] for event in server.events if event["type"] == TYPE]
    assert await listed(server) == told[::-1]
    assert await listed(server, starting_after=told[20]) == told[19::-1]
    assert await listed(server, ending_before=told[3]) == told[4:]


async def test_only_the_time_that_is_asked_for_is_listed(server: StripeServer) -> None:
    times = {event["id"]: event["created"] for event in server.events if event["type"] == TYPE}
    (first, *_, last) = times.values()
    found = await listed(server, created={"gte": first + 3_600, "lt": last})
    assert found == list(times)[-2:0:-1]
    server.wait(hours=30 * 24 - 10)
    assert len(await listed(server)) == 9
