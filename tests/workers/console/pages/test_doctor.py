"""The doctor's page: the console's own role can ask it all, and each finding has its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_pool
from tasks.findings import Verdict
from tests.workers.cli.doctor.findings import context
from workers.cli.doctor.examining import examine
from workers.cli.doctor.table import HERE, REACH
from workers.sign_in_links import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database


@pytest.fixture
def operator(browsers: dict[Role, httpx.AsyncClient]) -> httpx.AsyncClient:
    """An operator's browser."""
    return browsers[Role.OPERATOR]


@pytest_asyncio.fixture
async def own_pool(console_database: Database) -> AsyncIterator[Pool]:
    """The console's own sessions."""
    pool = await open_pool(
        console_database.url("console"), application_name="test", min_size=0, max_size=4
    )
    yield pool
    pool.terminate()


async def test_the_consoles_role_may_ask_all_of_it(own_pool: Pool) -> None:
    given = context(own_pool)
    given.is_of_console = True
    examined = await examine(HERE, given, reach=REACH)
    assert [each.check for each in examined] == [REACH.name, *(row.name for row in HERE)]
    unknown = [
        finding.what
        for each in examined
        for finding in each.findings
        if "can't be found out" in finding.what or "no answer" in finding.what
    ]
    assert unknown == []
    assert examined[0].verdict is Verdict.OK


async def test_a_finding_is_shown_with_its_fix_and_what_it_is_of(
    operator: httpx.AsyncClient, owner: Connection
) -> None:
    event_id = await owner.fetchval(
        "update fleet.inbox_events set starts = 2 where provider = 'apple' returning id"
    )
    await owner.execute("grant select on fleet.inbox_events to coinfleet_web")
    try:
        text = (await operator.get("/doctor")).text
    finally:
        await owner.execute("revoke select on fleet.inbox_events from coinfleet_web")
        await owner.execute("update fleet.inbox_events set starts = 0")
    assert "no worker reports: nothing is applied" in text
    assert "<code>revoke select on fleet.inbox_events from coinfleet_web</code>" in text
    assert f'href="/search?id=event%3A{event_id}"' in text
    assert text.index(">broken<") < text.index(">attention<") < text.index("found nothing wrong")


async def test_the_page_does_not_call_a_fleet_well_whose_events_are_dead(
    operator: httpx.AsyncClient, owner: Connection
) -> None:
    event_id, *before = await owner.fetchrow(
        "select id, state, reason from fleet.inbox_events where provider = 'apple' limit 1"
    )
    change = "update fleet.inbox_events set state = $2, reason = $3 where id = $1"
    await owner.execute(change, event_id, "dead", "failed")
    try:
        text = (await operator.get("/doctor")).text
    finally:
        await owner.execute(change, event_id, *before)
    assert "Nothing is wrong" not in text
    assert "nobody tries them any more" in text
    assert "<code>coinfleet explain event:" in text


async def test_the_page_says_what_it_cannot_see_and_what_does_the_rest(
    operator: httpx.AsyncClient,
) -> None:
    text = (await operator.get("/doctor")).text
    assert "The console holds no key of a provider" in text
    assert ".venv/bin/coinfleet doctor" in text


async def test_only_an_operator_has_it_in_the_menu(
    operator: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    assert 'href="/doctor"' in (await operator.get("/events")).text
    assert 'href="/doctor"' not in (await viewer.get("/events")).text
