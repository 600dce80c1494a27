"""The console in a browser: nothing is complained of, everybody can use it, and it is live."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.browser.conftest import PHONE
from tests.workers.console.holdings import an_address
from workers.console.table import PAGES
from workers.mock_providers.serving import serving
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from db.connections.pool import Connection
    from tests.browser.conftest import Console

# What is read by programs: the stream, the points of the chart, and a file.
NO_PAGES = {"/live", "/rates", "/profiles/{profile_id}/statement.csv"}
PATHS = [an_address(page.path) for page in PAGES if page.path not in NO_PAGES]
SCHEMES = ("light", "dark")
OVERFLOWS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.brief
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_breaks_no_rule_of_its_own_policy_and_asks_nobody_else(
    console: Console, path: str
) -> None:
    page = await console.sign_in()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(console.base + path)
    await page.wait_for_load_state("load")
    assert console.complaints == []
    assert [url for url in asked if not url.startswith((console.base, "data:"))] == []


@pytest.mark.parametrize("path", [*PATHS, "/sign-in"])
async def test_a_page_fits_a_phone(console: Console, path: str) -> None:
    page = await console.sign_in(viewport=PHONE)
    await page.goto(console.base + path)
    assert not await page.evaluate(OVERFLOWS)


@pytest.mark.parametrize(
    "scheme", [pytest.param(SCHEMES[0], marks=pytest.mark.brief), *SCHEMES[1:]]
)
async def test_axe_finds_nothing(console: Console, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    page = await console.sign_in(bypass_csp=True, color_scheme=scheme)
    for path in (*PATHS, "/sign-in", "/no/such/page"):
        await page.goto(console.base + path)
        found = await axe.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"


@pytest.mark.brief
async def test_without_javascript_everything_can_be_read_and_done(console: Console) -> None:
    page = await console.sign_in(java_script_enabled=False)
    await page.get_by_role("heading", name=re.compile("a person$")).wait_for()
    await page.get_by_role("link", name="Events", exact=True).click()
    await page.get_by_label("State").select_option("dead")
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("link", name="1", exact=True).click()
    assert "charge.refunded" in await page.locator("main").inner_text()
    await page.get_by_label("Why do you read it?").fill("a complaint")
    await page.get_by_role("button", name="Show the payload").click()
    assert "9007199254740993" in await page.locator("pre").inner_text()
    await page.get_by_role("searchbox").fill("evt_3")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("heading", name="Event 3").wait_for()
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("heading", name="Sign in").wait_for()


async def test_keys_lead_through_the_page(console: Console) -> None:
    page = await console.sign_in()
    await page.keyboard.press("Tab")
    focused = "document.activeElement.textContent || document.activeElement.id"
    assert await page.evaluate(focused) == "Skip to the content"
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "search"
    await page.keyboard.type("a/b")
    assert await page.get_by_role("searchbox").input_value() == "a/b"


@pytest.mark.parametrize("has_clipboard", [True, False])
async def test_an_id_is_copied_on_plain_http_too(console: Console, *, has_clipboard: bool) -> None:
    page = await console.sign_in(permissions=["clipboard-read", "clipboard-write"])
    if not has_clipboard:
        # As at an address that is neither https nor this machine.
        await page.add_init_script(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
        )
    await page.goto(f"{console.base}/events/1")
    await page.get_by_role("button", name="Copy evt_1").click()
    await page.get_by_text("Copied").wait_for()
    await page.keyboard.press("/")
    await page.keyboard.press("Control+V")
    assert await page.get_by_role("searchbox").input_value() == "evt_1"
    assert console.complaints == []


async def test_an_empty_filter_stays_out_of_the_address(console: Console) -> None:
    page = await console.sign_in()
    await page.goto(f"{console.base}/events")
    await page.get_by_label("State").select_option("pending")
    await page.get_by_role("button", name="Filter").click()
    await page.wait_for_url(f"{console.base}/events?state=pending")


@pytest.mark.brief
async def test_the_overview_changes_by_itself(console: Console, owner: Connection) -> None:
    page = await console.sign_in(Role.VIEWER)
    await page.goto(f"{console.base}/")
    waiting = page.get_by_role("row").filter(has_text="waiting")
    assert "waiting" in await waiting.inner_text()
    await owner.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload_sha256,"
        " state, reason) values ('stripe', 'evt_live', 'x', sha256('x'), 'waiting', 'x')"
    )
    await waiting.get_by_role("link", name="1", exact=True).wait_for()
    assert console.complaints == []


async def test_numbers_that_are_live_no_more_say_so(console: Console, owner: Connection) -> None:
    page = await console.sign_in(Role.VIEWER)
    await page.goto(f"{console.base}/")
    told = page.get_by_role("alert").filter(has_text="These numbers are old")
    assert await told.is_hidden()
    await owner.execute(
        "update fleet.console_sessions set revoked_at = clock_timestamp(), revoked_by = 'a test'"
    )
    await told.wait_for()
    await told.get_by_role("link", name="Look again").click()
    await page.wait_for_url(f"{console.base}/sign-in**")


async def test_numbers_of_which_only_the_stream_is_gone_say_so(console: Console) -> None:
    page = await console.sign_in(Role.VIEWER)
    await page.route("**/live", lambda route: route.abort())
    await page.goto(f"{console.base}/")
    # As after readings that did not come here.
    await page.locator("[data-reading]").evaluate("shown => { shown.dataset.reading = -99; }")
    await page.get_by_role("alert").filter(has_text="These numbers are old").wait_for()


async def test_the_overview_is_live_also_if_a_script_of_it_comes_late(console: Console) -> None:
    page = await console.sign_in(Role.VIEWER)
    began = "new Promise(done => setTimeout(() => setTimeout(() => done(typeof htmx), 50), 50))"

    async def after_htmx(route: Any) -> None:
        # A slow line: what came before this script has run, with all that it had put off.
        assert await page.evaluate(began) == "object"
        await route.continue_()

    await page.route("**/hx-sse*", after_htmx)
    async with page.expect_response("**/live"):
        await page.goto(f"{console.base}/", wait_until="commit")


@pytest.mark.brief
async def test_what_somebody_typed_runs_nowhere(console: Console) -> None:
    page = await console.sign_in()
    dialogs: list[object] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for path in ("/events", "/events/2", "/search?id=<script>alert(1)</script>"):
        await page.goto(console.base + path)
    assert dialogs == []
    # A search that finds nothing is answered 404, and a browser says so.
    assert [each for each in console.complaints if "404" not in each] == []


@asynccontextmanager
async def proxy(base: str) -> AsyncIterator[str]:
    """A proxy that tells the console another host than people open, as many do."""
    async with httpx.AsyncClient(base_url=base) as client:

        async def forward(request: Request) -> Response:
            headers = {
                name: value
                for name, value in request.headers.items()
                if name not in ("host", "content-length", "accept-encoding")
            }
            url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            answer = await client.request(
                request.method,
                url,
                headers=headers | {"host": "console.internal"},
                content=await request.body(),
            )
            kept = [
                (name, value)
                for name, value in answer.headers.multi_items()
                if name not in ("content-length", "transfer-encoding", "content-encoding")
            ]
            response = Response(answer.content, answer.status_code)
            for name, value in kept:
                response.headers.append(name, value)
            return response

        app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])
        async with serving(app) as address:
            yield address


@pytest.mark.brief
async def test_it_works_behind_a_proxy_that_rewrites_the_host(console: Console) -> None:
    async with proxy(console.base) as address:
        page = await console.sign_in(base=address, java_script_enabled=False)
        await page.goto(f"{address}/events/1")
        await page.get_by_label("Why do you read it?").fill("a complaint")
        await page.get_by_role("button", name="Show the payload").click()
        assert "9007199254740993" in await page.locator("pre").inner_text()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Sign in").wait_for()


@pytest.mark.brief
async def test_a_form_of_another_site_does_nothing(console: Console) -> None:
    page = await console.sign_in()
    evil = (
        f'<form method="post" action="{console.base}/sign-out"><input name="x"></form>'
        "<script>document.forms[0].submit()</script>"
    )

    async def trap(_request: Request) -> Response:
        return Response(evil, media_type="text/html")

    async with serving(Starlette(routes=[Route("/", trap)])) as address:
        other = await page.context.new_page()
        # Another site, not another port of the same: to a browser localhost is not 127.0.0.1.
        await other.goto(address.replace("127.0.0.1", "localhost"))
        await other.wait_for_url(f"{console.base}/sign-out")
        assert "another site" in await other.locator("body").inner_text()
    await page.goto(f"{console.base}/audit")
    await page.get_by_role("heading", name="Audit log").wait_for()
