"""What each page reads of the tables that grow: a bounded part, by indexes, however long the past.

The pages are those of the table; what is counted is what PostgreSQL itself says was read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.workers.console import past
from tests.workers.console.past import GROWING, give_past
from tests.workers.console.site import site
from workers.console.pages.approvals.held import REASONS
from workers.console.pages.payments.listing import MEANINGS
from workers.console.table import PAGES
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from db.connections.pool import Connection, Pool
    from tests.clusters import Cluster, Database

# Few rows are as cheap to read whole as by an index, so then only whether there is one counts.
FEW = 1_000
# Of a table that has ten rows then the planner may make a hash, which it can't be talked out of.
FEW_MAX = 100
# A list looks at 20,000 rows, and once more to say how far it came. Of the million 8,000 things are
# open, and the overview asks several questions of each.
READ_MAX = 200_000
# Read whole, so much of a table is no history.
WHOLE_MAX = 5_000
IDS = {
    "profile_id": past.BUYER,
    "purchase_id": past.HELD,
    "held_event_id": past.UNOWNED,
    "payment_id": past.DISPUTED,
    "event_id": past.DEAD,
}
# What is read for as long as somebody looks, and a file, which is sent in pieces.
LEFT_OUT = {"/live", "/profiles/{profile_id}/statement.csv"}
_NOW = datetime.now(UTC)
SINCE = {"since": f"{_NOW - timedelta(days=5):%Y-%m-%dT%H:%M}"}
UNTIL = {"until": f"{_NOW - timedelta(days=4):%Y-%m-%dT%H:%M}"}
BUYER, RARE = {"buyer": past.BUYER}, {"buyer": past.RARE_BUYER}
SEARCHED = (
    *(f"profile:{past.BUYER}", "pi_9", "evt_7", "re_9", "dp_20", "nobody", past.BUYER),
    *("gift:7", "stream:7", "call:7", "decision:7", "purchase:7", "gift_7", "key_7", "question 51"),
)
# Further forms of a page, the first of them also in `make test`.
FILTERS: dict[str, list[dict[str, object]]] = {
    "/approvals": [{"after": "2026-01-01T00:00 1 1"}, *({"reason": reason} for reason in REASONS)],
    "/payments": [
        *(RARE, BUYER, BUYER | {"state": "reversed"}, SINCE, UNTIL),
        *({"state": state} for state in MEANINGS),
    ],
    "/payments/disputes": [{"state": "review"}, {"after": "2030-01-01T00:00 stripe dp_1"}],
    "/profiles/{profile_id}": [SINCE | UNTIL, {"kind": "gift"}, {"account": "earnings"}],
    "/events": [
        *({"state": state} for state in ("dead", "pending", "waiting", "held", "applied")),
        *({"type": "none"}, {"provider": "google"}, {"reason": "none"}, {"before": 10}),
        *(SINCE, UNTIL, SINCE | UNTIL),
    ],
    "/retry": [{"state": "dead"}, {"reason": "unknown_buyer", "state": "held"}],
    "/retried": [{"actions": "1,2"}],
    "/calls": [{"kind": "none"}, *({"state": state} for state in ("pending", "done", "dead"))],
    "/calls/retried": [{"actions": "1,2"}],
    "/missed": [{"all": "yes"}],
    "/streams": [{"state": "published"}, {"state": "live"}, {"id": 7}],
    "/schedules": [{"job": "publish_state"}],
    "/search": [{"id": each} for each in SEARCHED],
    "/audit": [{"before": f"{_NOW - timedelta(days=5):%Y-%m-%dT%H:%M:%S}+00:00 c"}],
}
ADDRESSES = [
    pytest.param(
        page.path.format_map(IDS) + (f"?{urlencode(query)}" if query else ""),
        # Without the times in it: each process that runs tests must find the same ones.
        id=f"{page.path} {number}",
        marks=[] if number < 2 else [pytest.mark.long],
    )
    for page in PAGES
    if page.path not in LEFT_OUT
    for number, query in enumerate([{}, *FILTERS.get(page.path, [])])
]


class Reads:
    """How many rows were read of each table that grows, since the last time this was asked."""

    def __init__(self, owner: Connection, pool: Pool) -> None:
        self._owner = owner
        self._pool = pool
        self._before: tuple[Counter[str], Counter[str]] = Counter(), Counter()

    async def since(self) -> tuple[Counter[str], Counter[str]]:
        """Return how many rows were read by whole tables, and how many by indexes."""
        async with AsyncExitStack() as stack:
            for _ in range(self._pool.get_size()):
                connection = await stack.enter_async_context(self._pool.acquire())
                await connection.execute("select pg_stat_force_next_flush()")
        rows = await self._owner.fetch(
            "select relname, seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) as fetched"
            " from pg_stat_user_tables where relname = any($1)",
            list(GROWING),
        )
        assert {row["relname"] for row in rows} == GROWING
        whole = Counter({row["relname"]: row["seq_tup_read"] for row in rows})
        fetched = Counter({row["relname"]: row["fetched"] for row in rows})
        before, self._before = self._before, (whole, fetched)
        return whole - before[0], fetched - before[1]


@pytest.fixture(
    scope="module", params=[FEW, *(pytest.param(n, marks=pytest.mark.long) for n in (1_000_000,))]
)
def old_database(
    cluster: Cluster, template: Database, request: pytest.FixtureRequest
) -> Iterator[tuple[Database, int]]:
    """A database with a long past."""

    async def make() -> Database:
        database = await cluster.create(template.name)
        await give_past(database, rows=request.param)
        if request.param == FEW:
            owner = await open_connection(database.url("superuser"), application_name="test")
            await owner.execute(
                f"alter role coinfleet_console in database {database.name} set enable_seqscan = off"
            )
            await owner.close()
        return database

    database = asyncio.run(make())
    yield database, request.param
    asyncio.run(cluster.drop(database))


@pytest_asyncio.fixture(scope="module")
async def visiting(
    old_database: tuple[Database, int],
) -> AsyncIterator[tuple[httpx.AsyncClient, Reads, int]]:
    """An approver's browser, what its pages read, and how many rows the tables have."""
    database, rows = old_database
    owner = await open_connection(database.url("superuser"), application_name="test")
    async with site(database) as running:
        browser = await running.signed_in(Role.APPROVER)
        pool = running.app._app.state.desk.pool  # type: ignore[attr-defined]
        reads = Reads(owner, pool)
        await reads.since()
        yield browser, reads, rows
    owner.terminate()


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_reads_a_bounded_part_of_what_grows(
    visiting: tuple[httpx.AsyncClient, Reads, int], address: str
) -> None:
    browser, reads, rows = visiting
    await reads.since()
    answer = await browser.get(address)
    assert answer.status_code in (200, 303, 404), answer.text
    whole, fetched = await reads.since()
    limit = FEW_MAX if rows == FEW else WHOLE_MAX
    assert {table: read for table, read in whole.items() if read > limit} == {}
    assert fetched.total() <= READ_MAX, fetched.most_common(5)
