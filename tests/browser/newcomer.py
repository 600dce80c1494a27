"""What somebody has who has typed `make run`: two terminals, and a browser at the printed link."""

from __future__ import annotations

import asyncio
import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from db.connections.pool import open_connection
from tests.browser.conftest import DESK
from tests.journeys.fleet_run import ROOT, FleetRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from db.connections.pool import Connection
    from workers.sign_in_links import Role


@asynccontextmanager
async def make_run(folder: Path) -> AsyncIterator[FleetRun]:
    """The first terminal: a fleet with mock providers, ready."""
    with FleetRun(folder, environment={"MOCK_PROVIDERS": "1"}) as run:
        await asyncio.to_thread(run.wait_until_ready)
        yield run


async def typed(run: FleetRun, *words: str) -> str:
    """Type `coinfleet …` in the second terminal; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        str(ROOT / ".venv/bin/coinfleet"),
        *words,
        cwd=ROOT,
        env={"COINFLEET_DATA_DIR": str(run.folder.path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, complained = await process.communicate()
    assert process.returncode == 0, (printed + complained).decode()
    return printed.decode()


@asynccontextmanager
async def owner_of(run: FleetRun) -> AsyncIterator[Connection]:
    """The owner's session on the fleet's database."""
    url = await typed(run, "database-url")
    connection = await open_connection(url.strip(), application_name="test")
    try:
        yield connection
    finally:
        connection.terminate()


def link_of(run: FleetRun, role: Role) -> str:
    """The link that was printed for this role."""
    link: str
    (link,) = re.findall(rf"console as {role}: (\S+)", run.output)
    return link


async def open_link(run: FleetRun, browser: Browser, role: Role, **options: Any) -> Page:
    """A page of somebody who has opened the link that was printed for this role."""
    link = link_of(run, role)
    context = await browser.new_context(**{"viewport": DESK} | options)
    context.set_default_timeout(30_000)
    page = await context.new_page()
    await page.goto(link)
    place = urlsplit(link)
    await page.wait_for_url(f"{place.scheme}://{place.netloc}/")
    return page
