"""A newcomer's first ten minutes: make run, the printed link, and what a console is for."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest_asyncio

from tests.browser.deaths import die
from tests.browser.newcomer import link_of, make_run, open_link, owner_of, typed
from tests.faults.shop import COINS, sign_up
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Browser

    from tests.journeys.fleet_run import FleetRun

VIEWERS = 20
# Issue: what the console may need, after everything below.
MEMORY_MB = 150


@pytest_asyncio.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FleetRun]:
    """The fleet of this file; its last test stops it."""
    async with make_run(tmp_path_factory.mktemp("newcomer") / "data") as run:
        yield run


async def test_a_newcomer_sees_events_arrive_approves_retries_and_reads_a_story(
    fleet: FleetRun, chromium: Browser
) -> None:
    complaints: list[str] = []
    page = await open_link(fleet, chromium, Role.APPROVER)
    page.on("console", lambda message: complaints.append(message.text))
    home = page.url

    # The page stays open, and nobody loads it again: what it shows has come by itself.
    applied = page.get_by_role("row").filter(has=page.get_by_role("link", name="applied"))
    assert (await applied.locator("td").last.inner_text()) == "0"
    await page.evaluate("window.wasHere = true")
    report = await typed(fleet, "simulate", "--tour", "--duplicates", "2", "--shuffle")
    await applied.get_by_role("link", name=re.compile("^[1-9]")).first.wait_for()
    await page.locator(".figures a[href='/approvals']", has_text="2").wait_for()
    assert await page.evaluate("window.wasHere")

    # Two are held; one of them is approved.
    (purchase,) = re.findall(r"purchases approve (\d+) ", report)
    await page.get_by_role("link", name="Approvals").click()
    await page.get_by_role("link", name=f"purchase {purchase}", exact=True).click()
    await page.get_by_label("Why do you approve it?").fill("a known customer")
    await page.get_by_role("button", name=f"Approve purchase {purchase}").click()
    await page.get_by_role("status").filter(has_text="Done: ").wait_for()
    assert await page.locator("h1 .state").inner_text() == "confirmed"

    # The story of the payment tells it, with who did it and why.
    await page.get_by_role("link", name=re.compile(r"^payment \d+$")).click()
    story = await page.locator(".story").inner_text()
    assert f"purchase {purchase} was granted" in story
    assert "a known customer" in story

    # An event that had died is applied.
    async with owner_of(fleet) as owner:
        (bought,) = await sign_up(owner, 1)
        await die(owner, [bought])
    await page.goto(home)
    await page.get_by_role("heading", name=re.compile("a person$")).wait_for()
    dead = page.get_by_role("listitem").filter(has_text="dead: ")
    await dead.get_by_role("link", name="Show").click()
    await page.wait_for_url("**/events?state=dead")
    await page.get_by_role("link", name=re.compile(r"^\d+$")).click()
    await page.get_by_label("Why do you retry it?").fill("the disk has room again")
    await page.get_by_role("button", name="Retry", exact=True).click()
    await page.get_by_role("heading", name=re.compile("1 of 1 event done")).wait_for()
    await page.goto(f"{home}profiles/{bought.buyer}")
    assert await page.locator(".figures dd").first.inner_text() == str(COINS)
    assert complaints == []
    await page.context.close()


async def test_twenty_people_who_look_cost_little_and_hold_up_nothing(
    fleet: FleetRun, chromium: Browser
) -> None:
    page = await open_link(fleet, chromium, Role.VIEWER)
    async with AsyncExitStack() as looking:
        for _ in range(VIEWERS):
            # Each has a session of their own, as people do.
            client = await looking.enter_async_context(httpx.AsyncClient())
            await client.get(link_of(fleet, Role.VIEWER))
            stream = await looking.enter_async_context(client.stream("GET", f"{page.url}live"))
            assert stream.status_code == httpx.codes.OK
            assert await anext(stream.aiter_text())
        process: psutil.Process = fleet.process("workers.console")
        memory = sum(each.memory_info().rss for each in (process, *process.children()))
        assert memory < MEMORY_MB * 1_000_000
        # Asserts that all is gone within ten seconds; a browser, too, holds a page open.
        fleet.stop()
        fleet.wait_for_exit()
    assert "console ended (exit code 0)" in fleet.output
    await page.context.close()
