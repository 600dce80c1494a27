"""Pictures of the console for docs/, of a fleet that has had a day: `make screenshots` draws them.

Without its option the pages are opened and nothing is written. Names of this machine are replaced.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from tests.browser.conftest import PHONE
from tests.browser.deaths import die
from tests.browser.newcomer import make_run, open_link, owner_of, typed
from tests.faults.shop import PRICE_MINOR, deliver, sign_up
from tests.journeys.fleet_run import ROOT
from tests.workers.cli.simulate.plans import SECRETS
from workers.cli.simulate.events import stripe_webhook
from workers.cli.simulate.stripe import StripePayment, dispute_event
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from playwright.async_api import Browser

    from db.connections.pool import Connection
    from tests.faults.shop import Purchase
    from tests.journeys.fleet_run import FleetRun

FOLDER = ROOT / "docs" / "images"
WRITES = bool(os.environ.get("SCREENSHOTS"))
COLOURS = 255
DISPUTES = (("needs_response", 2), ("warning_needs_response", 6), ("needs_response", 8))
KILOBYTES = 1_500
VIEWERS = """
    insert into public.active_viewers (stream_id, viewer_id)
    select s.id, p.id from public.live_streams as s
    cross join lateral (
        select id from public.profiles where id <> s.profile_id order by id limit s.id % 5
    ) as p
    on conflict do nothing
"""
# The app answered 500 for three days.
DEAD_CALLS = """
    update fleet.provider_calls
    set state = 'dead', attempts = 12, last_error = 'ProviderUnavailable: HTTP 500'
    where id in (
        select id from fleet.provider_calls
        where kind = 'app.deliver' and state = 'done' order by id desc limit 3
    )
"""
# Which profile has the longest statement, and an event of a payment with a long story.
PROFILE = """
    select profile_id from public.ledger_entries where account = 'coins'
    group by profile_id order by max(seq) between 9 and 14 desc, max(seq) desc, profile_id limit 1
"""
DISPUTED = """
    select min(id) from fleet.inbox_events where event_type = 'charge.dispute.created'
        and state = 'applied'
"""
REPLACE = """pairs => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode())
        for (const [from, to] of pairs)
            walk.currentNode.data = walk.currentNode.data.replaceAll(from, to);
}"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file, the address it is of, and whether it is of a phone in the dark."""

    name: str
    path: str
    height: int = 800
    on_phone: bool = False


SHOTS = (
    Shot("overview", "/", 1_000),
    Shot("approvals", "/approvals", 520),
    Shot("purchase", "/approvals/purchases/{purchase}"),
    Shot("disputes", "/payments/disputes", 420),
    Shot("events", "/events?state=dead", 640),
    Shot("event", "/events/{event}", 760),
    Shot("statement", "/profiles/{profile}", 760),
    Shot("schedules", "/schedules?job=leaderboard"),
    Shot("calls", "/calls?state=dead", 640),
    Shot("doctor", "/doctor"),
    Shot("overview-phone", "/", on_phone=True),
    Shot("purchase-phone", "/approvals/purchases/{purchase}", 1_500, on_phone=True),
)


async def dispute(run: FleetRun, purchases: Sequence[Purchase]) -> None:
    """Have each of these purchases made and disputed; their deadlines are some days apart."""
    async with httpx.AsyncClient(base_url=run.url) as client:
        await deliver(client, purchases)
        for purchase, (status, days) in zip(purchases, DISPUTES, strict=True):
            # The simulated deadline is so many seconds after the payment.
            created_s = int(time.time()) + days * 86_400 - 700_000
            payment = StripePayment(
                key=purchase.buyer.hex, amount_minor=PRICE_MINOR, created_s=created_s
            )
            key = f"du_{purchase.buyer.hex[:12]}"
            moved = [(f"txn_{key}", -PRICE_MINOR)] if status == "needs_response" else []
            event = dispute_event(
                payment, dispute_id=key, status=status, balance_transactions=moved
            )
            webhook = stripe_webhook(event, secret=SECRETS.stripe, at_s=time.time())
            answer = await client.post(
                webhook.path, content=webhook.body, headers=dict(webhook.headers)
            )
            assert answer.is_success, answer.text


async def live(run: FleetRun, owner: Connection) -> dict[str, object]:
    """Give the fleet a day's work and its troubles; return what stands in the addresses."""
    await typed(run, "simulate", "--tour", "--seed", "7", "--duplicates", "2", "--shuffle")
    await typed(run, "simulate", "--events", "900", "--seed", "8", "--rate", "90")
    await owner.execute(VIEWERS)
    await die(owner, await sign_up(owner, 8))
    await dispute(run, await sign_up(owner, len(DISPUTES)))
    await owner.execute(DEAD_CALLS)
    await typed(run, "schedules", "pause", "leaderboard", "--reason", "an index is built")
    return {
        "purchase": await owner.fetchval(
            "select min(id) from public.coin_purchases where hold_reason = 'needs_approval'"
        ),
        "event": await owner.fetchval(DISPUTED),
        "profile": await owner.fetchval(PROFILE),
    }


@pytest_asyncio.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FleetRun]:
    """The fleet that is drawn."""
    async with make_run(tmp_path_factory.mktemp("drawn") / "data") as run:
        yield run
        run.stop()


@pytest_asyncio.fixture(scope="module")
async def ids(fleet: FleetRun) -> dict[str, object]:
    """Ids of what the pictures are of."""
    async with owner_of(fleet) as owner:
        return await live(fleet, owner)


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
async def test_a_picture_of_a_page_is_drawn(
    fleet: FleetRun, ids: dict[str, object], chromium: Browser, shot: Shot
) -> None:
    width = PHONE["width"] if shot.on_phone else 1280
    options: dict[str, Any] = {
        "viewport": {"width": width, "height": shot.height},
        "color_scheme": "dark" if shot.on_phone else "light",
    }
    page = await open_link(fleet, chromium, Role.APPROVER, **options)
    answer = await page.goto(f"http://127.0.0.1:{fleet.console_port}{shot.path.format(**ids)}")
    assert answer is not None
    assert answer.status == 200
    if shot.path == "/":
        await page.locator("#rates canvas").wait_for()
        # What is live comes with the next reading; it would bring the names back.
        await page.evaluate("document.getElementById('live').removeAttribute('hx-sse:connect')")
    host = socket.gethostname()
    pairs = [
        [str(fleet.folder.path), "/var/lib/coinfleet"],
        [f"root@{host}", "ann@desk"],
        [f"{host}:", "a:"],
    ]
    await page.evaluate(REPLACE, pairs)
    drawn = Image.open(BytesIO(await page.screenshot()))
    assert drawn.size == (width, shot.height)
    if WRITES:
        FOLDER.mkdir(exist_ok=True)
        smaller = drawn.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
        smaller.save(FOLDER / f"{shot.name}.png", optimize=True)
    await page.context.close()


def test_each_picture_of_the_docs_is_drawn_here_and_they_are_small() -> None:
    files = sorted(FOLDER.glob("*"))
    assert [file.name for file in files] == sorted(f"{shot.name}.png" for shot in SHOTS)
    assert sum(file.stat().st_size for file in files) < KILOBYTES * 1_000
    pages = [ROOT / "README.md", *Path(ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert [file.name for file in files if f"images/{file.name})" not in text] == []
