"""The console as a browser meets it, without a browser: one site per file of tests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from workers.console.application import make_app
from workers.settings import Settings
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from tests.clusters import Database

BASE = "http://127.0.0.1:8001"
LINK_SECRET = "of this start, and long enough to be one"
# What a browser says of a form that stands on a page of the same site.
FROM_HERE = {"sec-fetch-site": "same-origin", "origin": BASE}


@dataclass(slots=True)
class Site:
    """A running console. A browser of its own for each role that was asked for."""

    app: ASGIApp
    settings: Settings

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """A browser in which nobody is signed in."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)

    async def signed_in(self, role: Role | str) -> httpx.AsyncClient:
        """A browser in which somebody with this role has opened a link."""
        browser = self.browser()
        link = make_links(BASE, LINK_SECRET)[Role(role)]
        answer = await browser.get(urlsplit(link).path)
        assert answer.status_code == 200, answer.text
        return browser


@asynccontextmanager
async def site(database: Database, **settings: Any) -> AsyncIterator[Site]:
    """Run the console on this database; `settings` are further ones, or others."""
    given: dict[str, Any] = {
        "console_database_url": database.url("console"),
        "console_link_secret": LINK_SECRET,
    }
    made = Settings(**given | settings)
    app = make_app(made)
    async with _lifespan(app):
        yield Site(app, made)


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start and stop it by the messages that a server sends."""
    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.create_task(app(scope, to_app.get, from_app.put))  # type: ignore[arg-type]
    try:
        await to_app.put({"type": "lifespan.startup"})
        told = await from_app.get()
        assert told["type"] == "lifespan.startup.complete", told
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await running


async def post(
    browser: httpx.AsyncClient, path: str, fields: dict[str, str] | None = None, **headers: str
) -> httpx.Response:
    """Send a form as a page of the console does."""
    return await browser.post(path, data=fields or {"x": ""}, headers=FROM_HERE | headers)
