"""A console on a database with some events, shared by the tests of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.workers.console.holdings import make_holdings
from tests.workers.console.site import Site, site
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

# Text that would run, break out of an attribute, or end a template if it were not escaped.
HOSTILE = "<script>alert(1)</script>\"'{{ 1234567 * 7 }}"
# More than JavaScript counts exactly.
LARGE = 2**53 + 1
EVENTS = """
    insert into fleet.inbox_events
        (provider, provider_event_id, event_type, payload, payload_sha256, state, reason,
         attempts, processed_at, last_error)
    values
        ('stripe', 'evt_1', 'charge.refunded', '{"amount": 9007199254740993}', sha256('1'),
         'dead', 'failed', 5, clock_timestamp(), '22003: secret value 4242'),
        ('app', $1, $1, $2, sha256('2'), 'rejected', $1, 1, clock_timestamp(), null),
        ('apple', 'evt_3', 'REFUND', null, sha256('3'), 'pending', null, 0, null, null)
"""


@pytest_asyncio.fixture(scope="module")
async def console_database(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """A database with three events, and with what the desk shows."""
    database = await cluster.create(template.name)
    owner = await open_connection(database.url(), application_name="test")
    await owner.execute(EVENTS, HOSTILE, HOSTILE.encode())
    await make_holdings(owner)
    await owner.close()
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture(scope="module")
async def console(console_database: Database) -> AsyncIterator[Site]:
    """The console."""
    async with site(console_database) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def browsers(console: Site) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """A browser for each role."""
    found = {role: await console.signed_in(role) for role in Role}
    yield found
    for browser in found.values():
        await browser.aclose()


@pytest_asyncio.fixture
async def owner(console_database: Database) -> AsyncIterator[Connection]:
    """The owner's session on the console's database."""
    connection = await open_connection(console_database.url(), application_name="test")
    yield connection
    connection.terminate()


@pytest.fixture
def viewer(browsers: dict[Role, httpx.AsyncClient]) -> httpx.AsyncClient:
    """A viewer's browser."""
    return browsers[Role.VIEWER]


@pytest.fixture
def approver(browsers: dict[Role, httpx.AsyncClient]) -> httpx.AsyncClient:
    """The browser of an approver, who may read payloads, too."""
    return browsers[Role.APPROVER]
