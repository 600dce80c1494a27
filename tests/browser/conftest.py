"""A browser, Debian's chromium, and a console with events to open in it.

`make browser-test` runs these; where chromium or its driver is missing they skip and say so.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.workers.console.conftest import EVENTS, HOSTILE
from tests.workers.console.holdings import make_holdings
from tests.workers.console.site import LINK_SECRET, site
from workers.mock_providers.serving import serving
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Page

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

CHROMIUM = "chromium"
# As root there is no sandbox; and nothing but this machine is asked for anything.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, and skip them where there is no browser."""
    ours = [item for item in items if "tests/browser" in str(item.path)]
    for item in ours:
        item.add_marker(pytest.mark.browser)
        if shutil.which(CHROMIUM) is None:
            item.add_marker(pytest.mark.skip("apt-get install chromium: no browser is here"))


@dataclass(slots=True)
class Console:
    """The console's address, and what browsers complained about since the test began."""

    base: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    async def open(self, **options: Any) -> BrowserContext:
        """A new browser profile, in which nobody is signed in."""
        context = await self.browser.new_context(**{"viewport": DESK} | options)
        context.set_default_timeout(15_000)
        context.on("console", lambda message: self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        return context

    async def sign_in(self, role: Role = Role.APPROVER, *, base: str = "", **options: Any) -> Page:
        """A page of somebody who has opened the link of this role."""
        page = await (await self.open(**options)).new_page()
        base = base or self.base
        await page.goto(base + urlsplit(make_links(base, LINK_SECRET)[role]).path)
        await page.wait_for_url(f"{base}/")
        return page


@pytest_asyncio.fixture(scope="module")
async def console_database(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """A database with three events, one of them hostile, and with what the desk shows."""
    database = await cluster.create(template.name)
    connection = await open_connection(database.url(), application_name="test")
    await connection.execute(EVENTS, HOSTILE, HOSTILE.encode())
    await make_holdings(connection)
    await connection.close()
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """The browser."""
    api = pytest.importorskip("playwright.async_api", reason="make browser-test installs it")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which(CHROMIUM), args=ARGUMENTS
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module")
async def running(console_database: Database, chromium: Browser) -> AsyncIterator[Console]:
    """A console that listens."""
    async with site(console_database) as ours, serving(ours.app) as base:  # type: ignore[arg-type]
        yield Console(base, chromium)


@pytest_asyncio.fixture
async def console(running: Console) -> AsyncIterator[Console]:
    """The console; its profiles are closed with the test."""
    running.complaints.clear()
    yield running
    for context in running.browser.contexts:
        await context.close()


@pytest_asyncio.fixture
async def owner(console_database: Database) -> AsyncIterator[Connection]:
    """The owner's session on the console's database."""
    connection = await open_connection(console_database.url(), application_name="test")
    yield connection
    connection.terminate()
