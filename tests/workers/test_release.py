"""The release: what it makes in the database, and that it may run again."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from db.connections.pool import Connection, open_connection
from db.errors import DatabaseRefused, DatabaseUnavailable
from tests.clusters import Database
from tests.workers.cli.operators import coinfleet
from workers.release import release
from workers.settings import Settings


async def rules(database: Database) -> dict[str, object]:
    """Return the rules that SQL reads, by name."""
    connection = await open_connection(database.url(), application_name="test")
    try:
        return dict(await connection.fetchrow("select * from fleet.settings") or {})
    finally:
        await connection.close()


async def test_a_first_release_makes_the_schema_and_the_next_finds_it(
    empty_database: Database,
) -> None:
    settings = Settings(database_url=empty_database.url())
    assert len((await release(settings)).steps) > 0
    assert (await release(settings)).steps == ()


async def test_each_release_writes_the_environments_rules(database: Database) -> None:
    before = await rules(database)
    settings = Settings(database_url=database.url(), purchase_limit_usd=Decimal("777.00"))
    await release(settings)
    assert await rules(database) == before | {"purchase_limit_usd": Decimal("777.00")}


async def test_a_release_logs_each_rule_that_it_changes(database: Database) -> None:
    plain = Settings(database_url=database.url())
    strict = Settings(
        database_url=database.url(),
        second_approver_above_usd=Decimal("100.00"),
        app_events_url="https://app.example.com/secret-path",
        sandbox_profiles=[uuid4()],
    )

    async def logged(settings: Settings) -> list[tuple[str, object, object]]:
        with capture_logs() as logs:
            await release(settings)
        assert "secret-path" not in str(logs)
        told = [each for each in logs if each["event"] == "rule_changed"]
        assert {each["log_level"] for each in told} <= {"warning"}
        return [(each["setting"], each["before"], each["now"]) for each in told]

    assert await logged(strict) == [
        ("APP_EVENTS_URL", None, "set"),
        ("SANDBOX_PROFILES", "0", "1"),
        ("SECOND_APPROVER_ABOVE_USD", None, "100.00"),
    ]
    assert await logged(strict) == []
    # As a person does who has only the owner's address at hand.
    assert await logged(plain) == [
        ("APP_EVENTS_URL", "set", None),
        ("SANDBOX_PROFILES", "1", "0"),
        ("SECOND_APPROVER_ABOVE_USD", "100.00", None),
    ]


async def test_a_release_says_whether_the_app_is_told(database: Database, db: Connection) -> None:
    told = Settings(database_url=database.url(), app_events_url="https://app.example.com/")
    since = "select app_told_since from fleet.settings"
    await release(told)
    first = await db.fetchval(since)
    assert first is not None
    await release(told)
    assert await db.fetchval(since) == first
    await release(Settings(database_url=database.url()))
    assert await db.fetchval(since) is None


async def test_an_unreachable_database_fails_the_release() -> None:
    with pytest.raises(DatabaseUnavailable):
        await release(Settings(database_url="postgresql://nobody@127.0.0.1:1/nowhere"))


async def test_a_wrong_password_fails_the_release_with_one_line(database: Database) -> None:
    url = urlsplit(database.url())
    wrong = url._replace(netloc=f"{url.username}:wrong@{url.hostname}:{url.port}")
    with pytest.raises(DatabaseRefused, match="password authentication failed"):
        await release(Settings(database_url=wrong.geturl()))


@pytest.mark.long
async def test_what_only_a_person_can_undo_is_logged_and_is_exit_code_1(
    database: Database, db: Connection
) -> None:
    await db.execute("grant usage on schema fleet to anon")
    result = await asyncio.to_thread(coinfleet, "migrate", DATABASE_URL=database.url())
    assert result.returncode == 1
    assert "grant usage on schema fleet to anon" in result.stdout + result.stderr
    await db.execute("revoke usage on schema fleet from anon")
    result = await asyncio.to_thread(coinfleet, "migrate", DATABASE_URL=database.url())
    assert (result.returncode, result.stdout) == (0, "0 steps applied\n")


@pytest.mark.long
async def test_the_number_of_profiles_for_older_users_is_shown(
    database: Database, db: Connection
) -> None:
    await db.execute("alter table auth.users disable trigger coinfleet_makes_a_profile")
    await db.execute("insert into auth.users (id) values (gen_random_uuid())")
    await db.execute("alter table auth.users enable trigger coinfleet_makes_a_profile")
    result = await asyncio.to_thread(coinfleet, "migrate", DATABASE_URL=database.url())
    assert "1 profile made for older users" in result.stdout
