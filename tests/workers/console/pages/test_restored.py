"""A form that was open while a backup was restored, or its buyer erased: it is of another now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.db.books import Payment
from tests.workers.console.holdings import BUYER, HELD_EVENT, PARK, Holdings, fields_of, hold
from tests.workers.console.site import post

if TYPE_CHECKING:
    import httpx

    from db.connections.pool import Connection

pytestmark = pytest.mark.requirement("C7", "H10")


@pytest_asyncio.fixture(autouse=True)
async def parked(owner: Connection) -> None:
    """The books apply what is pending, and can't read an event of the fixture."""
    await owner.execute(PARK.format("waiting"))


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_a_form_decides_the_payment_that_its_page_showed_and_no_other(
    approver: httpx.AsyncClient, owner: Connection, verb: str
) -> None:
    shown, _ = await hold(owner)
    # As large, held for the same, of the same buyer: all but the payment is alike.
    other, _ = await hold(owner)
    path = f"/approvals/purchases/{shown}/{verb}"
    fields = fields_of((await approver.get(f"/approvals/purchases/{shown}")).text, path)
    late = await post(
        approver,
        f"/approvals/purchases/{other}/{verb}",
        fields | {"reason": "I know her", "refund": "yes"},
    )
    assert late.status_code == 409
    assert "Nothing was done" in late.text
    kept = "select count(*) from fleet.decisions where purchase_id = any($1)"
    assert await owner.fetchval(kept, [shown, other]) == 0


async def test_a_form_of_an_event_decides_the_payment_that_its_page_showed(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    (other,) = await Holdings(owner).receive(Payment().bought(None, buyer_unreadable=True))
    await Holdings(owner).work()
    page = (await approver.get(f"/approvals/events/{HELD_EVENT}")).text
    fields = fields_of(page, f"/approvals/events/{HELD_EVENT}/attribute")
    late = await post(
        approver,
        f"/approvals/events/{other}/attribute",
        fields | {"reason": "she wrote", "profile_id": str(BUYER)},
    )
    assert late.status_code == 409
    kept = "select count(*) from fleet.decisions where event_id = $1"
    assert await owner.fetchval(kept, other) == 0


async def test_a_buyer_who_was_erased_is_told_of_before_anything_is_credited(
    approver: httpx.AsyncClient, owner: Connection
) -> None:
    buyer = uuid4()
    await owner.execute("insert into auth.users (id) values ($1)", buyer)
    payment = Payment()
    await Holdings(owner).apply_one(payment.worth(buyer, 30_000))
    purchase_id = await owner.fetchval(
        "select id from public.coin_purchases where provider_payment_id = $1", payment.intent
    )
    path = f"/approvals/purchases/{purchase_id}/approve"
    before = fields_of((await approver.get(f"/approvals/purchases/{purchase_id}")).text, path)
    await owner.execute("select fleet.erase_profile($1, 'a test', 'asked for it')", buyer)
    late = await post(approver, path, before | {"reason": "a known customer"})
    assert late.status_code == 409
    assert "Its buyer was erased at" in late.text
    assert await Holdings(owner).coins(buyer) == 0
    assert "erased at" in (await approver.get(f"/profiles/{buyer}")).text
    # Whoever wants it all the same has seen it now.
    again = await post(approver, path, fields_of(late.text, path) | {"reason": "all the same"})
    assert again.status_code == 303
