"""What operators do in a browser: retry ten thousand dead events, choose some, pause a job."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Console
from tests.browser.deaths import die
from tests.db.books import breaches
from tests.faults.fleets import WORKER, Fleet
from tests.faults.shop import sign_up
from tests.workers.console.site import site
from workers.mock_providers.serving import serving
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from db.connections.pool import Connection
    from tests.clusters import Database

EVENTS = 10_000
# What nobody sells is held for a person when it is judged again.
HELD = 5


async def shown(page: Page, words: str) -> None:
    """Wait until a heading of the page says this; the page looks again by itself."""
    heading = page.get_by_role("heading", name=re.compile(words))
    await heading.first.wait_for(timeout=120_000)


async def test_ten_thousand_dead_events_are_retried_by_filter_while_workers_run(
    chromium: Browser, database: Database, db: Connection, redis_url: str, tmp_path: Path
) -> None:
    purchases = await sign_up(db, EVENTS)
    await die(db, purchases[HELD:])
    await die(db, purchases[:HELD], sku=b"gold!")
    async with (
        AsyncExitStack() as stack,
        site(database) as ours,
        serving(ours.app) as base,  # type: ignore[arg-type]
    ):
        fleet = Fleet(tmp_path, database, redis_url, stack)
        await asyncio.gather(*(fleet.start(WORKER, WORKER_NAME=f"w{n}") for n in range(2)))
        page = await Console(base, chromium).sign_in(Role.OPERATOR, java_script_enabled=False)
        await page.goto(f"{base}/events?state=dead&provider=stripe")
        await page.get_by_role("button", name="Retry all that match").click()
        await shown(page, "What would become of them")
        told = await page.locator("main").inner_text()
        assert "10,000 events match" in told
        assert f"{EVENTS - HELD:,} profiles would gain {(EVENTS - HELD) * 100:,}" in told
        assert await db.fetchval("select count(*) from public.coin_purchases") == 0
        # Others die meanwhile: nobody has seen them, so nobody has retried them.
        late = await sign_up(db, 3)
        await die(db, late)
        await page.get_by_label("Why do you retry them?").fill("the disk has room again")
        await page.get_by_role("button", name="Retry 10,000 events").click()
        await shown(page, f"{EVENTS - HELD:,} of 10,000 events done")
        told = await page.locator("main").inner_text()
        assert f"{HELD} events held, waiting or rejected" in told
        await page.context.close()
    states = await db.fetch(
        "select state, count(*) from fleet.inbox_events group by state order by state"
    )
    assert [tuple(row) for row in states] == [
        ("applied", EVENTS - HELD),
        ("dead", 3),
        ("held", HELD),
    ]
    coins = await db.fetchval("select sum(coin_balance) from public.profiles")
    assert coins == (EVENTS - HELD) * 100
    notes = await db.fetch(
        "select cardinality(event_ids), who, reason from fleet.operator_actions order by id"
    )
    assert [tuple(note) for note in notes] == [
        (500, "coinfleet_console", "the disk has room again")
    ] * (EVENTS // 500)
    assert await breaches(db) == {}


async def test_one_box_chooses_all_events_of_a_page_and_is_hidden_without_javascript(
    console: Console,
) -> None:
    for has_script in (True, False):
        page = await console.sign_in(Role.OPERATOR, java_script_enabled=has_script)
        await page.goto(f"{console.base}/events")
        every = page.get_by_label("Choose all of this page")
        assert await every.is_visible() == has_script
        if has_script:
            await every.check()
            boxes = await page.get_by_label(re.compile("^Choose event")).all()
            assert len(boxes) > 2
            assert all([await box.is_checked() for box in boxes])
    assert console.complaints == []


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_schedule_is_paused_run_and_resumed_without_javascript(
    console: Console, owner: Connection, width: int
) -> None:
    await owner.execute("select fleet.open_tick('leaderboard', 60)")
    page = await console.sign_in(
        Role.OPERATOR, java_script_enabled=False, viewport={"width": width, "height": 844}
    )
    await page.get_by_role("link", name="Schedules", exact=True).click()
    await page.get_by_role("link", name="leaderboard", exact=True).click()
    for button, told in (
        ("Pause", "leaderboard is paused"),
        ("Run now", "leaderboard is asked for"),
        ("Resume", "leaderboard runs again"),
    ):
        await page.get_by_label("Why?").fill("a repair")
        await page.get_by_role("button", name=button, exact=True).click()
        assert told in await page.get_by_role("status").inner_text()
    assert console.complaints == []
