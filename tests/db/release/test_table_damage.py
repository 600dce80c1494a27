"""What a table lost, or must not be, and what belongs to another role: told until a person acts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.connections.pool import open_connection
from db.release.rights import UnfitOwner
from db.release.runner import migrate
from tests.db.release.damages import (
    LEDGER,
    LOST_OF_TABLES,
    NEVER_OF_TABLES,
    REDEFINED_IN_TABLES,
    told,
)
from workers.cli.status.checks import find_damage

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Cluster, Database


@pytest.mark.long_but_first
@pytest.mark.parametrize("release", ["the same", "with a migration", "on another server"])
async def test_what_a_table_lost_is_reported_until_a_person_makes_it_again(
    released: Database, db: Connection, pool: Pool, release: str
) -> None:
    """No release makes it again, and none takes the loss for its own work."""
    # Another version of the server may write the same definition in other words.
    redefined = {} if release == "on another server" else REDEFINED_IN_TABLES
    for damage in LOST_OF_TABLES | redefined:
        await db.execute(damage)
    if release == "with a migration":
        # Nothing depends on this migration, so it may be applied once more.
        await db.execute("delete from fleet.schema_migrations where name like '%_what_tables_have'")
    if release == "on another server":
        await db.execute("update fleet.schema_objects set server_version = 14")
    for _ in range(2):
        different = (await migrate(released.url())).different
        assert sorted(line for each in different for line in each.lost_of_tables) == sorted(
            (LOST_OF_TABLES | redefined).values()
        )
    [line] = await find_damage(pool)
    assert line.startswith("tables lack what a migration made: ")
    assert "db/migrations" in line
    await db.execute(
        "create index inbox_events_pending_idx on fleet.inbox_events (id) where state = 'pending'"
    )
    assert "inbox_events_pending_idx" not in " ".join(await told(pool))


async def test_what_an_older_release_recorded_of_a_table_in_fewer_words_is_not_lost(
    released: Database, db: Connection, pool: Pool
) -> None:
    await db.execute(
        r"""
        update fleet.schema_objects
        set items = array(
            select regexp_replace(i, '^((constraint|index) [^:]*): .*|^(column .*) = .*', '\1\3')
            from unnest(items) as i
        )
        """
    )
    assert await told(pool) == []
    assert await db.fetchval("select fleet.lacks_tables()") is False
    await db.execute("alter table public.gifts drop constraint gifts_sender_id_fkey")
    assert await told(pool) == ["constraint gifts_sender_id_fkey on public.gifts"]
    assert await db.fetchval("select fleet.lacks_tables()") is True


async def test_a_constraint_that_somebody_validated_is_not_lost(
    released: Database, db: Connection, pool: Pool
) -> None:
    words = "update fleet.schema_objects set items = array(select {} from unnest(items) as i)"
    await db.execute(words.format("replace(i, ': check, valid = ', ': check = ')"))
    assert await told(pool) == []


async def test_what_a_table_must_not_be_is_reported_whenever_it_came(
    released: Database, db: Connection, pool: Pool
) -> None:
    for change in NEVER_OF_TABLES:
        await db.execute(change)
    assert sorted(await told(pool)) == sorted(NEVER_OF_TABLES.values())
    await db.execute("select fleet.record_catalog(true)")
    assert sorted(await told(pool)) == sorted(NEVER_OF_TABLES.values())


async def test_foreign_keys_that_a_restore_left_unchecked_are_reported(
    released: Database, pool: Pool, cluster: Cluster
) -> None:
    """`pg_restore --disable-triggers` that was interrupted; only a superuser may."""
    superuser = await open_connection(
        cluster.superuser_url.rpartition("/")[0] + f"/{released.name}", application_name="test"
    )
    await superuser.execute("alter table public.user_links disable trigger all")
    assert await told(pool) == ["disabled foreign keys of public.user_links"]
    await superuser.execute("alter table public.user_links enable trigger all")
    assert await told(pool) == []
    await superuser.close()


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "what",
    [
        "function fleet.post_ledger(fleet.posting[])",
        "table public.follows",
        "view invariants.balances_match_ledger",
    ],
)
async def test_what_a_superuser_restored_as_his_own_stops_a_release_with_one_line(
    released: Database, db: Connection, pool: Pool, cluster: Cluster, what: str
) -> None:
    superuser = await open_connection(
        cluster.superuser_url.rpartition("/")[0] + f"/{released.name}", application_name="test"
    )
    name = await superuser.fetchval("select current_user")
    owner = await db.fetchval("select current_user")
    await superuser.execute(f"alter {what} owner to current_user")
    item = what.removeprefix("table ").removeprefix("view ")
    assert await told(pool) == [f"owner of {item}: {name}"]
    with pytest.raises(UnfitOwner, match=re.escape(f"`alter {what} owner to {owner}`")):
        await migrate(released.url())
    await superuser.execute(f"alter {what} owner to {owner}")
    assert (await migrate(released.url())).different == ()
    await superuser.close()


async def test_the_statement_of_the_docs_gives_everything_back_to_the_owner(
    released: Database, db: Connection, pool: Pool, cluster: Cluster
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "backup.md").read_text(encoding="utf-8")
    section = text.partition("### Owners")[2]
    statement = section.partition("```sql")[2].partition("```")[0]
    superuser = await open_connection(
        cluster.superuser_url.rpartition("/")[0] + f"/{released.name}", application_name="test"
    )
    for what in (
        *("schema fleet", "schema invariants", "table public.gifts", "type fleet.posting"),
        *("function fleet.post_ledger(fleet.posting[])", "sequence fleet.ledger_transaction_id"),
        *("view invariants.balances_match_ledger", "table fleet.inbox_events"),
    ):
        await superuser.execute(f"alter {what} owner to current_user")
    owner = await db.fetchval("select current_user")
    await superuser.execute(statement.replace("coinfleet_owner", owner))
    assert await told(pool) == []
    assert (await migrate(released.url())).steps == ()
    await superuser.close()


async def test_a_table_of_another_owner_is_reported(
    released: Database, db: Connection, pool: Pool, cluster: Cluster
) -> None:
    superuser = await open_connection(
        cluster.superuser_url.rpartition("/")[0] + f"/{released.name}", application_name="test"
    )
    await superuser.execute(f"alter table {LEDGER} owner to current_user")
    name = await superuser.fetchval("select current_user")
    assert await told(pool) == [f"owner of {LEDGER}: {name}"]
    owner = await db.fetchval("select current_user")
    await superuser.execute(f"alter table {LEDGER} owner to {owner}")
    assert await told(pool) == []
    await superuser.close()
