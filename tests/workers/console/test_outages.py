"""What a page says while its database can be asked nothing, or lacks what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.connections.pool import open_connection
from tests.workers.console.holdings import sign_in
from tests.workers.console.site import post, site
from workers.console.outages import outage_of

if TYPE_CHECKING:
    from tests.clusters import Cluster, Database

LOOK = "open its page again and look before you send it anew"


async def test_a_page_says_that_the_database_takes_no_writes_or_has_another_schema(
    cluster: Cluster, template: Database
) -> None:
    database = await cluster.create(template.name)
    owner = await open_connection(database.url(), application_name="test")
    async with site(database) as console, await sign_in(console, owner, "ann", "approver") as ann:
        await owner.execute(
            f"alter role coinfleet_console in database {database.name}"
            " set default_transaction_read_only = on"
        )
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename = 'coinfleet_console'"
        )
        asked = {"job": "leaderboard", "reason": "a test"}
        answers = [await post(ann, "/schedules/pause", asked) for _ in range(2)]
        # The first may find its session gone.
        assert {each.status_code for each in answers} == {503}
        assert "The database takes no writes" in answers[1].text
        assert LOOK in answers[1].text
        await owner.execute("drop schema fleet cascade")
        lacking = await ann.get("/events")
    owner.terminate()
    await cluster.drop(database)
    assert lacking.status_code == 503
    assert "The database has another schema" in lacking.text
    assert "coinfleet migrate" in lacking.text


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (asyncpg.LockNotAvailableError("a lock"), "The database is busy"),
        (asyncpg.QueryCanceledError("too long"), "The database is busy"),
        (asyncpg.UndefinedFunctionError("a function"), "The database has another schema"),
        (asyncpg.CannotConnectNowError("starting up"), "The database is unreachable"),
        (ConnectionRefusedError(), "The database is unreachable"),
        (asyncpg.DivisionByZeroError("a fault of ours"), None),
        (KeyError("a fault of ours"), None),
    ],
)
def test_an_outage_is_told_by_its_kind(error: Exception, title: str | None) -> None:
    for is_form in (False, True):
        found = outage_of(error, is_form=is_form)
        assert (found and found.title) == title
        if found and found.passes:
            assert (LOOK in found.why) == is_form
