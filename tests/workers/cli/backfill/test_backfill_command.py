"""`coinfleet backfill` as an operator types it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import pytest_asyncio

from db.inbox.arrivals import store_arrivals
from tests.db.inbox.arrivals import arrival
from workers.cli import make_app
from workers.cli.backfill import run as runs
from workers.cli.endings import run_command
from workers.mock_providers.stripe import ACCOUNT, KEY, StripeServer, stripe_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}


class Ended(NamedTuple):
    """What is seen of a command that has ended."""

    code: int
    out: list[str]
    err: str


class Backfill(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str, provider: str = "stripe") -> Ended:
        """Run it with these words."""
        ...


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    """Stripe's API at the time of this machine."""
    async with stripe_server() as stripe:
        stripe.now_s = datetime.now(UTC).timestamp()
        yield stripe


@pytest.fixture
def backfill(
    database: Database,
    stripe: StripeServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Backfill:
    """Runs `coinfleet backfill` in this process: its start would take a second."""
    monkeypatch.setenv("DATABASE_URL", database.url())
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.base)

    async def run(*words: str, provider: str = "stripe") -> Ended:
        def command() -> None:
            make_app(["backfill"])(["backfill", provider, *words], prog_name="coinfleet")

        # In a thread, for it brings its own loop.
        code = await asyncio.to_thread(run_command, command, as_json=False)
        out, err = capsys.readouterr()
        return Ended(code, out.splitlines(), err)

    return run


def since(**ago: float) -> tuple[str, str]:
    return "--since", (datetime.now(UTC) - timedelta(**ago)).isoformat()


def tell(stripe: StripeServer, events: int, event_type: str = "charge.succeeded") -> None:
    """Stripe made so many events an hour ago."""
    stripe.wait(hours=-1)
    for _ in range(events):
        stripe.tell(event_type, CHARGE)
    stripe.wait(hours=1)


async def stored(db: Connection) -> list[str]:
    rows = await db.fetch("select provider_event_id as id from fleet.inbox_events")
    return sorted(row["id"] for row in rows)


def told(stripe: StripeServer) -> list[str]:
    return sorted(event["id"] for event in stripe.events)


async def test_it_stores_what_is_missing_and_says_how_many(
    backfill: Backfill, stripe: StripeServer, db: Connection, web_pool: Pool
) -> None:
    tell(stripe, 3)
    tell(stripe, 1, "refund.updated")
    await store_arrivals(web_pool, [arrival(stripe.events[0]["id"])])
    ended = await backfill(*since(hours=2))
    assert (ended.code, ended.err) == (0, "")
    # No terminal: a line per day, and no bar.
    first, *last = ended.out
    assert first.startswith("read up to 20")
    assert first.endswith("UTC: 3 events not here before")
    assert last == [
        "read: 4 events, 1 of them here before",
        "stored: 3 events (charge.succeeded 2, refund.updated 1)",
    ]
    assert await stored(db) == told(stripe)
    ended = await backfill(*since(hours=2))
    assert (ended.code, ended.out[-1]) == (0, "stored: 0 events")


async def test_an_event_on_its_way_is_stored_and_not_missed(
    backfill: Backfill, stripe: StripeServer, db: Connection
) -> None:
    stripe.tell("charge.succeeded", CHARGE)
    ended = await backfill(*since(hours=2))
    assert ended.out[-1] == "stored: 1 event (charge.succeeded 1)"
    assert not await db.fetchval("select is_missed from fleet.found_events")


async def test_a_dry_run_counts_what_is_missing_and_stores_nothing(
    backfill: Backfill, stripe: StripeServer, db: Connection
) -> None:
    tell(stripe, 2)
    ended = await backfill(*since(hours=2), "--dry-run")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out[-3:] == [
        "read: 2 events, 0 of them here before",
        "missing: 2 events (charge.succeeded 2)",
        "Nothing was stored.",
    ]
    assert await stored(db) == []
    assert await db.fetchval("select count(*) from fleet.backfills") == 0
    await backfill(*since(hours=2))
    ended = await backfill(*since(hours=2), "--dry-run")
    assert (ended.code, ended.out[-2]) == (0, "missing: 0 events")


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
async def test_a_provider_that_is_away_for_a_moment_is_waited_for(
    backfill: Backfill,
    stripe: StripeServer,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "PAUSE_MAX_S", 0.0)
    tell(stripe, 150)
    stripe.faults = ["throttled", "none", "unavailable", "empty"]
    ended = await backfill(*since(hours=2), *words)
    assert ended.out[len(ended.out) - 2 - len(words)] == "read: 150 events, 0 of them here before"


async def test_what_was_cut_goes_on_with_the_same_words(
    backfill: Backfill, stripe: StripeServer, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "TRIES", 1)
    words = since(hours=2)
    tell(stripe, 250)
    stripe.faults = ["none", "none", "unavailable"]
    ended = await backfill(*words)
    assert (ended.code, ended.err) == (
        2,
        (
            "coinfleet: stripe can't be read on (503 api_error): what was stored stays, and the"
            " same command goes on from there\n"
        ),
    )
    assert len(await stored(db)) == 200
    requests = len(stripe.requests)
    ended = await backfill(*words)
    assert ended.out[-1] == "stored: 250 events (charge.succeeded 250)"
    assert len(stripe.requests) == requests + 1
    assert await stored(db) == told(stripe)


async def test_a_key_that_is_refused_ends_it_at_once(
    backfill: Backfill, stripe: StripeServer
) -> None:
    stripe.faults = ["unauthorized"]
    ended = await backfill(*since(hours=2))
    assert (ended.code, len(stripe.requests)) == (2, 1)
    assert "can't be read on (401 api_error)" in ended.err
    assert KEY not in ended.err + "".join(ended.out)


async def test_the_list_of_another_account_is_not_read(
    backfill: Backfill, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch, db: Connection
) -> None:
    tell(stripe, 2)
    monkeypatch.setenv("STRIPE_ACCOUNTS", "acct_other")
    ended = await backfill(*since(days=1))
    assert (ended.code, ended.out) == (2, [])
    assert ended.err == (
        "coinfleet: nothing was asked of stripe: STRIPE_API_KEY is a key of"
        f" {ACCOUNT}, which STRIPE_ACCOUNTS does not list\n"
    )
    assert await db.fetchval("select count(*) from fleet.inbox_events") == 0


async def test_it_says_what_can_not_be_found(
    backfill: Backfill, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.providers.stripe.history.StripeHistory.keeps", timedelta(hours=3))
    ended = await backfill("--since", "2020-01-01")
    assert ended.out[0] == "stripe lists the last 0 days: what was before can't be found"
    assert ended.code == 0


async def test_wrong_words_are_refused(
    backfill: Backfill, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, said in (
        (("--since", "last week"), "must be a date, as 2026-11-01"),
        (("--since", "2999-01-01"), "must be in the past"),
        ((), "Missing option '--since'"),
    ):
        ended = await backfill(*words)
        assert (ended.code, said in ended.err) == (2, True)
    # The app has no list of past events.
    for provider in ("paypal", "app"):
        ended = await backfill(*since(hours=1), provider=provider)
        assert (ended.code, "must be one of stripe, apple, google " in ended.err) == (2, True)
    monkeypatch.delenv("STRIPE_API_KEY")
    ended = await backfill(*since(hours=1))
    assert (ended.code, "the settings of its API are missing here" in ended.err) == (2, True)
    assert stripe.requests == []
