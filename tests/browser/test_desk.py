"""The desk in a browser: two people approve, one person twice is refused, a stale form is answered.

JavaScript is off: what decides about money is a plain form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.conftest import PHONE
from tests.db.books import Books
from tests.workers.console.holdings import BUYER, PARK, hold, token_of
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from db.connections.pool import Connection
    from tests.browser.conftest import Console

WHOLE = 3_000_000


@pytest_asyncio.fixture(autouse=True)
async def two_approve(owner: Connection) -> AsyncIterator[None]:
    """Two people approve what is worth more than 10,000 US dollars; the inbox is at rest."""
    await owner.execute(PARK.format("waiting"))
    rule = "update fleet.settings set second_approver_above_usd = $1"
    await owner.execute(rule, 10_000)
    yield
    await owner.execute(rule, None)
    await owner.execute(PARK.format("pending"))


async def page_of(console: Console, owner: Connection, name: str) -> Page:
    """A page of an approver with this name, without JavaScript."""
    context = await console.open(java_script_enabled=False)
    token = await token_of(owner, name, "approver")
    await context.add_cookies([{"name": "coinfleet", "value": token, "url": console.base}])
    return await context.new_page()


async def approve(page: Page, reason: str) -> None:
    """Fill in the form that is open, and send it."""
    await page.get_by_label("Why do you approve it?").fill(reason)
    await page.get_by_role("button", name=re.compile("^Approve purchase")).click()


@pytest.mark.brief
async def test_two_people_approve_and_whoever_is_late_or_comes_twice_is_told(
    console: Console, owner: Connection
) -> None:
    purchase_id, _ = await hold(owner)
    before = await Books(owner).coins(BUYER)
    ann, ben = [await page_of(console, owner, name) for name in ("ann", "ben")]
    for page in (ann, ben):
        # As a newcomer does: from the overview to the list, and from there to the purchase.
        await page.goto(f"{console.base}/")
        await page.get_by_role("link", name="Approvals").click()
        await page.get_by_role("link", name=f"purchase {purchase_id}", exact=True).click()
        text = await page.locator("main").inner_text()
        assert "it waits for a second person who approves the same coins" in text
    # Ann has it open in two tabs.
    other = await ann.context.new_page()
    await other.goto(ann.url)
    await approve(ann, "she called")
    assert "ann approved it first" in await ann.get_by_role("status").first.inner_text()
    assert "It waits for a second person" in await ann.locator("main").inner_text()
    # What Ben has open is stale: his approval would credit now.
    await approve(ben, "I know her")
    alert = await ben.get_by_role("alert").inner_text()
    assert "Nothing was done. Since you opened the page: ann approved it first" in alert
    assert await Books(owner).coins(BUYER) == before
    assert f"{WHOLE:,} coins are credited" in await ben.locator("main").inner_text()
    assert await ben.get_by_label("Why do you approve it?").input_value() == "I know her"
    await approve(other, "again")
    assert "nobody decides twice" in await other.get_by_role("alert").inner_text()
    await approve(ben, "I know her")
    assert f"Done: ben approved it for {WHOLE:,} coins" in await ben.locator("main").inner_text()
    assert await Books(owner).coins(BUYER) == before + WHOLE
    made = await owner.fetch(
        "select who, origin from fleet.decisions where purchase_id = $1 order by id", purchase_id
    )
    assert [tuple(row) for row in made] == [
        ("ann", "console, 127.0.0.1"),
        ("ben", "console, 127.0.0.1"),
    ]


async def test_a_purchase_is_rejected_on_a_phone(console: Console, owner: Connection) -> None:
    purchase_id, _ = await hold(owner)
    page = await console.sign_in(viewport=PHONE, java_script_enabled=False)
    await page.goto(f"{console.base}/approvals/purchases/{purchase_id}")
    await page.get_by_label("Why do you reject it?").fill("a stolen card")
    await page.get_by_role("button", name=f"Reject purchase {purchase_id}").click()
    text = await page.locator("main").inner_text()
    assert "rejected it, with a refund" in text
    assert "waits for the event of its refund" in text


async def test_a_question_of_a_store_is_answered(console: Console) -> None:
    page = await console.sign_in(java_script_enabled=False)
    await page.goto(f"{console.base}/approvals/inquiries")
    await page.get_by_label("decline").check()
    await page.get_by_label("Why do you answer so?").fill("all coins are spent")
    await page.get_by_role("button", name="Answer question 1").click()
    assert "Question 1 is answered" in await page.get_by_role("status").first.inner_text()


async def test_a_statement_is_downloaded_and_its_balance_corrected(
    console: Console, owner: Connection, tmp_path: Path
) -> None:
    profile = await Books(owner).profile(2**53 + 1)
    page = await console.sign_in(java_script_enabled=False)
    await page.goto(f"{console.base}/profiles/{profile}")
    async with page.expect_download() as started:
        await page.get_by_role("link", name="All of these as CSV").click()
    file = tmp_path / "statement.csv"
    await (await started.value).save_as(file)
    assert f",adjustment,{2**53 + 1},{2**53 + 1}," in file.read_text()
    await page.get_by_label("Coins to add, with a minus to take").fill("-1")
    await page.get_by_label("Why?").fill("one too many")
    await page.get_by_role("button", name="See what it does").click()
    assert f"from {2**53 + 1:,} to {2**53:,}" in await page.locator("main").inner_text()
    await page.get_by_role("button", name="Take 1 coin").click()
    assert f"{2**53:,}" in await page.locator("dl").inner_text()
    assert "one too many" in await page.get_by_role("region").inner_text()


async def test_a_viewer_sees_everything_and_no_form(console: Console) -> None:
    page = await console.sign_in(Role.VIEWER)
    for path in ("/approvals/purchases/1", "/approvals/inquiries", "/approvals/frozen"):
        await page.goto(console.base + path)
        assert await page.locator("main form[method=post]").count() == 0
        assert await page.get_by_role("note").last.is_visible()
