"""An approver who is a user of the app, too, and meets what is their own at the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.workers.console.holdings import (
    BUYER,
    HELD_EVENT,
    PARK,
    Holdings,
    fields_of,
    hold,
    sign_in,
)
from tests.workers.console.site import post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection
    from tests.workers.console.site import Site

pytestmark = pytest.mark.requirement("C7", "H10")


@pytest_asyncio.fixture
async def buyer(console: Site, owner: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of an approver whose account is BUYER's."""
    async with await sign_in(
        console, owner, "buyer", "approver", account=str(BUYER).upper()
    ) as browser:
        yield browser


@pytest_asyncio.fixture
async def purchase_id(owner: Connection) -> int:
    """A purchase of BUYER's that waits for a person."""
    # The books apply what is pending, and can't read an event of the fixture.
    await owner.execute(PARK.format("waiting"))
    found, _ = await hold(owner)
    return found


async def test_nobody_decides_about_coins_of_their_own(
    approver: httpx.AsyncClient, buyer: httpx.AsyncClient, owner: Connection, purchase_id: int
) -> None:
    before = await Holdings(owner).coins(BUYER)
    page = f"/approvals/purchases/{purchase_id}"
    seen = (await approver.get(page)).text
    reason = {"reason": "it is mine"}
    sent = [
        (path, fields_of(seen, path) | reason | {"refund": "yes"})
        for path in (f"{page}/approve", f"{page}/reject")
    ]
    sent += [
        ("/approvals/purchases/2/release", reason | {"seen": "issfr_1"}),
        (
            f"/approvals/events/{HELD_EVENT}/attribute",
            reason | {"seen": "x", "profile_id": str(BUYER)},
        ),
        (f"/profiles/{BUYER}/adjust", reason | {"amount": "5", "key": "mine", "seen": "1"}),
    ]
    for path, fields in sent:
        answer = await post(buyer, path, fields)
        assert answer.status_code == 403, path
        assert "your own profile" in answer.text
    decided = "select count(*) from fleet.decisions where purchase_id = $1"
    assert await owner.fetchval(decided, purchase_id) == 0
    assert await Holdings(owner).coins(BUYER) == before


async def test_the_page_says_that_somebody_else_decides_it(
    buyer: httpx.AsyncClient, purchase_id: int
) -> None:
    page = (await buyer.get(f"/approvals/purchases/{purchase_id}")).text
    assert "your own purchase" in page
    assert f"/approvals/purchases/{purchase_id}/approve" not in page
