"""Who may do what to which table: each role tries it, on its own rows and on another's.

Requirements B3 and F. Only MATRIX says what is expected, and a table without a row in it fails.
Refused means SQLSTATE 42501 and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, get_args
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.clusters import DECIDERS, LOGINS
from tests.db.access.console_columns import READABLE
from tests.db.books import PRICE_LIST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database, Login

pytestmark = pytest.mark.requirement("F", "H8")

ME = UUID("00000000-0000-4000-8000-000000000001")
OTHER = UUID("00000000-0000-4000-8000-000000000002")
THIRD = UUID("00000000-0000-4000-8000-000000000003")


class Who(StrEnum):
    """Whose rows a client may use an operation on."""

    EVERYONE = "everyone"
    OWNER = "own rows only"
    NOBODY = "nobody"


EVERYONE, OWNER, NOBODY = Who.EVERYONE, Who.OWNER, Who.NOBODY
Operation: TypeAlias = Literal["select", "insert", "update", "delete"]


class Row(NamedTuple):
    """A table's row of the matrix, and statements to try it with.

    `owner` is the column with the owner of a row; `backend` is what service_role may do besides
    reading; `new` makes a row of profile $1 and `change` changes one.
    """

    owner: str | None
    select: Who
    insert: Who
    update: Who
    delete: Who
    backend: str
    new: str
    change: str


# fmt: off
MATRIX: Final = {
    "profiles": Row("id", EVERYONE, NOBODY, OWNER, NOBODY, "update",
        "(id) values ($1)", "bio = 'new'"),
    "ledger_entries": Row("profile_id", OWNER, NOBODY, NOBODY, NOBODY, "",
        "default values", "amount = 1"),
    "coin_purchases": Row("profile_id", OWNER, NOBODY, NOBODY, NOBODY, "",
        "default values", "status = 'confirmed'"),
    "gifts": Row("sender_id", EVERYONE, NOBODY, NOBODY, NOBODY, "",
        "default values", "coin_amount = 1"),
    "live_streams": Row("profile_id", EVERYONE, NOBODY, OWNER, NOBODY, "insert update",
        "(profile_id) values ($1)", "live_available = true"),
    "active_viewers": Row("viewer_id", OWNER, OWNER, OWNER, OWNER, "insert update delete",
        "(viewer_id, stream_id) values ($1, 3)", "is_active = true"),
    "user_grid_slots": Row("viewer_id", OWNER, OWNER, OWNER, OWNER, "insert update delete",
        f"(viewer_id, slot_index, streamer_id) values ($1, 12, '{THIRD}')", "is_muted = true"),
    "chat_messages": Row("profile_id", EVERYONE, OWNER, NOBODY, NOBODY, "insert delete",
        "(profile_id, stream_id, body) values ($1, 3, 'Hello')", "body = 'new'"),
    "follows": Row("follower_id", EVERYONE, OWNER, NOBODY, OWNER, "insert delete",
        f"(follower_id, followee_id) values ($1, '{THIRD}')", f"followee_id = '{THIRD}'"),
    "user_links": Row("profile_id", EVERYONE, OWNER, OWNER, OWNER, "insert update delete",
        "(profile_id, position, label, url) values ($1, 9, 'Home', 'https://example.org')",
        "label = 'new'"),
    "leaderboard_cache": Row("profile_id", EVERYONE, NOBODY, NOBODY, NOBODY, "",
        "default values", "coins = 1"),
    "gift_types": Row(None, EVERYONE, NOBODY, NOBODY, NOBODY, "",
        "default values", "coin_cost = 1"),
    # Not in F, but a shop must show its prices.
    "coin_packages": Row(None, EVERYONE, NOBODY, NOBODY, NOBODY, "",
        "default values", "coin_amount = 1"),
    "fx_rates": Row(None, EVERYONE, NOBODY, NOBODY, NOBODY, "",
        "default values", "usd_per_unit = 1"),
}
# fmt: on

# A row of each table for ME, and one for OTHER.
PEOPLE = f"""
{PRICE_LIST}
insert into public.fx_rates (currency, usd_per_unit) values ('eur', 1.08);
insert into auth.users (id) values ('{ME}'), ('{OTHER}'), ('{THIRD}');
insert into public.live_streams (profile_id) values ('{ME}'), ('{OTHER}'), ('{THIRD}');
select public.process_coin_purchase(id, 'app', 'evt_' || id, 'pay_' || id, 100, 1.00)
from auth.users;
insert into public.active_viewers (viewer_id, stream_id) values ('{ME}', 2), ('{OTHER}', 1);
insert into public.user_grid_slots (viewer_id, slot_index, streamer_id)
values ('{ME}', 1, '{OTHER}'), ('{OTHER}', 1, '{ME}');
insert into public.chat_messages (profile_id, stream_id, body)
values ('{ME}', 1, 'Hello'), ('{OTHER}', 1, 'Hello');
insert into public.follows (follower_id, followee_id)
values ('{ME}', '{OTHER}'), ('{OTHER}', '{ME}');
insert into public.user_links (profile_id, label, url)
values ('{ME}', 'Home', 'https://example.org'), ('{OTHER}', 'Home', 'https://example.org');
"""
GIFTS = f"""
select set_config('request.jwt.claims', '{{"sub": "{ME}"}}', false);
select public.process_gift('{OTHER}', 'rose', 'key');
select set_config('request.jwt.claims', '{{"sub": "{OTHER}"}}', false);
select public.process_gift('{ME}', 'rose', 'key');
"""
REFRESH = "select fleet.refresh_leaderboard()"


class Outcome(StrEnum):
    """The outcome of a statement."""

    ALLOWED = "allowed"
    NO_ROW = "no row"
    REFUSED = "refused"


ALLOWED, NO_ROW, REFUSED = Outcome.ALLOWED, Outcome.NO_ROW, Outcome.REFUSED


class Actor(NamedTuple):
    """Somebody who tries: a role, signed in as ME or as nobody, on the rows of `target`."""

    name: str
    role: str
    target: UUID
    login: Login = "authenticator"

    @property
    def is_process(self) -> bool:
        return self.login != "authenticator"


ACTORS = (
    Actor("anon", "anon", ME),
    Actor("authenticated, own rows", "authenticated", ME),
    Actor("authenticated, another's rows", "authenticated", OTHER),
    Actor("service_role", "service_role", ME),
    *(Actor(login, f"coinfleet_{login}", ME, login) for login in (*LOGINS, *DECIDERS)),
)


def expected(actor: Actor, table: str, operation: Operation) -> Outcome:
    """Return the outcome that the matrix expects of an attempt."""
    row = MATRIX[table]
    who: Who = getattr(row, operation)
    if actor.is_process:
        is_shown = actor.login == "console" and f"public.{table}" in READABLE
        return ALLOWED if operation == "select" and is_shown else REFUSED
    if actor.role == "service_role":
        return ALLOWED if operation in ("select", *row.backend.split()) else REFUSED
    if who is EVERYONE:
        return ALLOWED
    if who is NOBODY or actor.role == "anon":
        return REFUSED
    if actor.target == ME:
        return ALLOWED
    return REFUSED if operation == "insert" else NO_ROW


def statement(table: str, row: Row, operation: Operation) -> str:
    """Return a statement for an operation on the rows of profile $1."""
    whose = f"where {row.owner} = $1" if row.owner else "where $1::uuid is not null"
    match operation:
        case "select":
            return f"select 1 from public.{table} {whose}"
        case "insert":
            return f"insert into public.{table} {row.new}"
        case "update":
            return f"update public.{table} set {row.change} {whose}"
        case "delete":
            return f"delete from public.{table} {whose}"


async def attempt(connection: Connection, sql: str, *arguments: object) -> Outcome:
    """Try a statement. An error with another SQLSTATE than 42501 is raised."""
    try:
        async with connection.transaction():
            prepared = await connection.prepare(sql)
            given = arguments if prepared.get_parameters() else ()
            await prepared.fetch(*given)
    except asyncpg.InsufficientPrivilegeError:
        return REFUSED
    return NO_ROW if prepared.get_statusmsg().endswith(" 0") else ALLOWED


@pytest.fixture(scope="module")
def people(cluster: Cluster, template: Database) -> Iterator[Database]:
    """A database with rows of two people; its tests roll back what they do."""
    database = asyncio.run(cluster.create(template.name))
    asyncio.run(settle(database))
    yield database
    asyncio.run(cluster.drop(database))


async def settle(database: Database) -> None:
    """Write the rows."""
    owner = await open_connection(database.url(), application_name="test")
    for text in (PEOPLE, GIFTS, REFRESH):
        await owner.execute(text)
    await owner.close()


@pytest_asyncio.fixture
async def act(people: Database) -> AsyncIterator[Callable[[Actor], object]]:
    """Opens an actor's connection, whose work is rolled back with the test."""
    opened: list[Connection] = []

    async def connect(actor: Actor) -> Connection:
        connection = await open_connection(people.url(actor.login), application_name="test")
        opened.append(connection)
        await connection.transaction().start()
        if not actor.is_process:
            claims = {"role": actor.role} | ({} if actor.role == "anon" else {"sub": str(ME)})
            await connection.execute(
                "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
                actor.role,
                json.dumps(claims),
            )
        return connection

    yield connect
    for connection in opened:
        connection.terminate()


@pytest.mark.requirement("B5", "H11")
@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
@pytest.mark.parametrize("table", MATRIX)
async def test_each_role_may_do_to_each_table_what_the_matrix_says(
    act: Callable[[Actor], object], table: str, actor: Actor
) -> None:
    connection = await act(actor)  # type: ignore[misc]
    outcomes = {
        operation: await attempt(
            connection, statement(table, MATRIX[table], operation), actor.target
        )
        for operation in get_args(Operation)
    }
    assert outcomes == {each: expected(actor, table, each) for each in outcomes}


@pytest.mark.requirement("B3")
async def test_each_table_of_the_api_has_a_row_in_the_matrix(db: Connection) -> None:
    tables = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p', 'v', 'm', 'f')"
    )
    assert {row["relname"] for row in tables} == MATRIX.keys()


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
async def test_nobody_empties_a_table(act: Callable[[Actor], object], actor: Actor) -> None:
    connection = await act(actor)  # type: ignore[misc]
    for table in MATRIX:
        assert await attempt(connection, f"truncate public.{table} cascade") is REFUSED, table


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_no_api_role_may_use_an_object_of_the_fleet(
    act: Callable[[Actor], object], db: Connection, role: str
) -> None:
    connection = await act(Actor(role, role, ME))  # type: ignore[misc]
    for name in await relations(db, "fleet", "invariants"):
        for sql in (
            f"select from {name}",
            f"insert into {name} default values",
            f"delete from {name}",
        ):
            assert await attempt(connection, sql) is REFUSED, sql


@pytest.mark.parametrize("login", [*LOGINS, *DECIDERS])
async def test_each_process_reads_the_migration_records_and_no_other_table(
    act: Callable[[Actor], object], db: Connection, login: Login
) -> None:
    connection = await act(Actor(login, login, ME, login))  # type: ignore[misc]
    readable = {
        name
        for name in await relations(db, "fleet", "invariants")
        if await attempt(connection, f"select from {name} limit 0") is not REFUSED
    }
    books = {"fleet.schema_migrations", "fleet.schema_objects"}
    proofs = set(await relations(db, "invariants")) if login == "worker" else set()
    shown = set(READABLE) if login == "console" else set()
    assert readable == books | proofs | {name for name in shown if not name.startswith("public.")}


async def relations(db: Connection, *schemas: str) -> list[str]:
    """The tables and views of schemas."""
    rows = await db.fetch(
        "select format('%s.%I', relnamespace::regnamespace, relname) as name from pg_class"
        " where relnamespace::regnamespace::text = any($1) and relkind in ('r', 'p', 'v', 'm')",
        list(schemas),
    )
    return [row["name"] for row in rows]


# Columns: a policy can't protect them

FLAGS = {"is_active", "is_unmuted", "is_visible", "is_subscribed"}
DISPLAY_FIELDS = {"username", "display_name", "avatar_url", "bio"}
SLOT = {"viewer_id", "slot_index", "streamer_id", "is_pinned", "is_muted"}
LINK = {"profile_id", "position", "label", "url"}
UPDATABLE: Final = {
    "authenticated": {
        "profiles": DISPLAY_FIELDS,
        "live_streams": {"live_available"},
        "active_viewers": FLAGS,
        "user_grid_slots": SLOT,
        "user_links": LINK,
    },
    "service_role": {
        "profiles": DISPLAY_FIELDS,
        "live_streams": {"live_available", "title"},
        "active_viewers": FLAGS,
        "user_grid_slots": SLOT,
        "user_links": LINK,
    },
    "anon": {},
}
INSERTABLE: Final = {
    "authenticated": {
        "active_viewers": FLAGS | {"stream_id", "viewer_id"},
        "user_grid_slots": SLOT,
        "user_links": LINK,
        "chat_messages": {"stream_id", "profile_id", "body"},
        "follows": {"follower_id", "followee_id"},
    },
    "service_role": {
        "active_viewers": FLAGS | {"stream_id", "viewer_id"},
        "user_grid_slots": SLOT,
        "user_links": LINK,
        "chat_messages": {"stream_id", "profile_id", "body"},
        "follows": {"follower_id", "followee_id"},
        "live_streams": {"profile_id", "title", "live_available"},
    },
    "anon": {},
}


@pytest.mark.parametrize("table", MATRIX)
@pytest.mark.parametrize("role", UPDATABLE)
async def test_each_column_is_updated_only_by_the_roles_that_the_list_names(
    act: Callable[[Actor], object], db: Connection, role: str, table: str
) -> None:
    connection = await act(Actor(role, role, ME))  # type: ignore[misc]
    updated = {
        column
        for column in await columns(db, f"public.{table}")
        if await attempt(connection, f"update public.{table} set {column} = default where false")
        is not REFUSED
    }
    assert updated == UPDATABLE[role].get(table, set())


@pytest.mark.parametrize("table", MATRIX)
@pytest.mark.parametrize("role", INSERTABLE)
async def test_each_column_is_inserted_only_by_the_roles_that_the_list_names(
    act: Callable[[Actor], object], db: Connection, role: str, table: str
) -> None:
    connection = await act(Actor(role, role, ME))  # type: ignore[misc]
    filled = {
        column
        for column, type_name in (await columns(db, f"public.{table}")).items()
        if await attempt(
            connection,
            f"insert into public.{table} ({column}) select null::{type_name} where false",
        )
        is not REFUSED
    }
    assert filled == INSERTABLE[role].get(table, set())


async def columns(db: Connection, table: str) -> dict[str, str]:
    """The columns of a table, with their types."""
    rows = await db.fetch(
        "select attname, format_type(atttypid, null) as type from pg_attribute"
        " where attrelid = $1::text::regclass and attnum > 0 and not attisdropped",
        table,
    )
    return {row["attname"]: row["type"] for row in rows}
