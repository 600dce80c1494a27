"""The release: brings a database to the schema that the SQL files of db/ describe.

    shim → logins → migrations → functions → views → invariants → policies

migrations/   tables, constraints, indexes; each applied once, in the order of their versions. A
              changed one is an error. What can't run inside a transaction (`create index
              concurrently`), or ends its own, is not supported.
functions/    and views/: current text (`create or replace`), applied whenever its checksum changed.
              A trigger stands below its function, in the same file: `create or replace trigger`.
              A function whose file is gone is dropped last, when nothing calls it any more; what
              else the file made is dropped by a migration of the same commit.
legacy/functions/  the same, but only in a database that an upgrade works on or brought here. A file
              that goes, or a database whose upgrade's tables were dropped, loses the function.
invariants/   bare queries; each becomes the view invariants.<file name>, its leading `--` lines the
              view's comment. A file that goes takes its view with it.
policies/     <process>.sql says what a login role may execute, clients.sql what the API roles may.
              They are applied again after any change; <schema>.<table>.sql, the rights to a table
              and its row level security, after a migration. Each must bear being applied twice.
shim/         Supabase's roles and auth schema, for databases that aren't Supabase's.
logins/       the roles of our processes, without a password.

What a file made may be lost without its text having changed: a restore without the roles, a dropped
trigger, a revoked grant. A release records what it left in the catalog and first compares with that
(db/release/catalog.py): a file of which something is lost or added is applied again.

Each step is a short transaction with a lock timeout, tried again when it ran into one, so that live
workers go on. One runner works at a time, others wait for it. The search path is empty here: names
in the files are schema-qualified.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import asyncpg

from db.connections.pool import open_connection
from db.connections.pooler import PoolerUndeclared
from db.connections.roles import UnfitOwner, check_owner, check_release_rights
from db.connections.servers import CONNECT_TIMEOUT_S
from db.errors import is_transient, raising_unavailable
from db.legacy.generations import refuse_older_generation
from db.release import catalog, schema
from db.release.schema import Kind, Record, SchemaFile, SchemaProblem, StatusRow, Step, expected
from db.release.sign_ups import make_profiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from db.connections.pool import Connection, Pool
    from db.release.catalog import Difference

OLDEST_SERVER = 150_000
# The advisory lock of whoever is at work on the schema.
TURN = "coinfleet.release"
# Whoever queues behind a waiting step waits no longer than this.
LOCK_TIMEOUT_MS = 1_500
# With the pauses between them, about half a minute of trying.
TRIES = 12
LONGEST_PAUSE_S = 2.0
# An index on a large table takes its time; another release may be building one.
STEP_TIMEOUT_MS = 15 * 60_000
_TAKEN = (
    "a function with this name and these arguments is here already and isn't this release's:"
    " rename it; nothing of it was changed"
)


class StepFailed(SchemaProblem):
    """A file could not be applied; `line` is where PostgreSQL stopped, when it says so."""

    def __init__(
        self, path: str, reason: str, *, line: int | None = None, sqlstate: str | None = None
    ) -> None:
        place = f"{path}, line {line}" if line else path
        code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
        super().__init__(f"{place}: {reason}{code}")
        self.path = path
        self.line = line
        self.sqlstate = sqlstate


class ServerTooOld(SchemaProblem):
    """The server is older than PostgreSQL 15."""


class AnotherReleaseRuns(SchemaProblem):
    """Another release has been at work on this database for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did, in order; no step when the database was current.

    `profiles_made` is for users older than the schema; None if auth.users could not be read.
    """

    steps: tuple[Step, ...]
    profiles_made: int | None = 0
    different: tuple[Difference, ...] = ()
    """What somebody added to the catalog, or took, that applying the files again does not undo."""


async def migrate(url: str, *, on_step: Callable[[Step], None] | None = None) -> Report:
    """Bring the database to this release's schema; a second call finds nothing to do.

    Users who signed up before the schema was here get their profiles.
    `url` is the schema owner's. `on_step` hears of each step once it is committed. Raises
    SchemaProblem, with the steps before it kept, and DatabaseUnavailable.
    """
    async with _release_session(url) as connection:
        report = await bring_up(connection, expected(), on_step=on_step)
        return replace(report, profiles_made=await make_profiles(connection))


async def apply_files(
    url: str, files: Sequence[SchemaFile], *, on_step: Callable[[Step], None] | None = None
) -> Report:
    """Do for any set of files what `migrate` does for this release's, but for older users."""
    async with _release_session(url) as connection:
        return await bring_up(connection, files, on_step=on_step)


@asynccontextmanager
async def _release_session(url: str) -> AsyncIterator[Connection]:
    async with owner_session(url) as connection:
        await take_turn(connection)
        await refuse_older_generation(connection)
        yield connection


async def bring_up(
    connection: Connection,
    files: Sequence[SchemaFile],
    *,
    on_step: Callable[[Step], None] | None = None,
    makes_good: bool = True,
) -> Report:
    """Do the same in an `owner_session` whose turn it is; inside its transaction, if it has one.

    An upgrade, which takes rights away while it runs, lets nothing be made good.
    """
    await check_release_rights(connection, roles=schema.login_roles())
    await _open_books(connection)
    book = await _read_book(connection)
    wanted = await _files_for(connection, files)
    differences = await _find_differences(connection) if makes_good else []
    damaged = _damaged(differences, wanted)
    steps = schema.plan(wanted, book, damaged)
    for step in steps:
        await _take(connection, step, is_new=(step.kind, step.name) not in book)
        if on_step:
            on_step(step)
    changed = [step for step in steps if schema.has_new_text(step, book)]
    migrated = any(step.kind == Kind.MIGRATION for step in changed)
    async with connection.transaction():
        different = await catalog.record(
            connection, changed, everything=migrated, before=differences or []
        )
    return Report(tuple(steps), different=tuple(different))


async def _find_differences(connection: Connection) -> list[Difference] | None:
    try:
        return await catalog.find_differences(connection)
    except catalog.NotComparable:
        return None


def _damaged(
    differences: Collection[Difference] | None, files: Sequence[SchemaFile]
) -> set[tuple[str, str]]:
    """Return the files that the catalog differs from; all of them where nobody can tell."""
    if differences is not None:
        return catalog.keys(differences)
    can_tell = (Kind.FUNCTION, "fleet.catalog_differences")
    everything: set[tuple[str, str]] = {
        (file.kind, file.name) for file in files if file.kind is not Kind.MIGRATION
    }
    return everything if can_tell in everything else set()


async def status(url: str) -> list[StatusRow]:
    """Say of each file whether this database has it; changes nothing."""
    async with owner_session(url) as connection:
        files = await _files_for(connection, expected())
        if await _lacks_books(connection):
            return schema.compare(files, {})
        damaged = _damaged(await _find_differences(connection), files)
        return schema.compare(files, await _read_book(connection), damaged)


async def is_current(database: Pool | Connection) -> bool:
    """Say whether this code can work with the database: each migration and function is there.

    Older code stays current while a newer release runs: what it doesn't know doesn't count, nor
    does the newer text of a function. One query, which each process's role may make.
    """
    files = expected()
    try:
        lacking = await database.fetchval(
            """
            select exists (
                select unnest($1::bigint[]) except select version from fleet.schema_migrations
            ) or exists (
                select unnest($2::text[])
                except select name from fleet.schema_objects where kind = 'function'
            )
            """,
            [file.version for file in files if file.kind is Kind.MIGRATION],
            [file.name for file in files if file.kind is Kind.FUNCTION],
        )
    except (
        asyncpg.UndefinedTableError,
        asyncpg.InsufficientPrivilegeError,  # grants come last in a first release
    ):
        return False
    return not lacking


async def is_half_way(database: Pool | Connection) -> bool:
    """Return whether a release is at work here, or has to be before this code can work.

    Older code finds each of its files in the books all the while, those that a newer release
    removed too; a runner is known by its lock. A function that somebody dropped stands in the books
    still: the next release makes it again. A column that somebody renamed or dropped, a person puts
    back.
    """
    if not await is_current(database) or await _lacks_functions(database):
        return True
    if await database.fetchval("select fleet.lacks_tables()"):
        return True
    is_locked: bool = await database.fetchval(
        """
        select exists (
            select from pg_locks as l
            where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
                and l.database = (select oid from pg_database where datname = current_database())
                and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)
        )
        """,
        TURN,
    )
    return is_locked


async def _lacks_functions(database: Pool | Connection) -> bool:
    lacks: bool = await database.fetchval(
        """
        select exists (
            select unnest($1::text[])
            except
            select n.nspname || '.' || p.proname
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            except
            select name from fleet.schema_objects where kind = 'function' and checksum = $2
        )
        """,
        [file.name for file in expected() if file.kind is Kind.FUNCTION],
        schema.REMOVED,
    )
    return lacks


@asynccontextmanager
async def owner_session(
    url: str, *, application_name: str = "coinfleet release"
) -> AsyncIterator[Connection]:
    """Open the session in which the schema's owner works on it; closed with the block."""
    connection = await open_connection(
        url,
        application_name=application_name,
        command_timeout_s=None,
        search_path="",
        check_function_bodies="off",
        client_min_messages="warning",
        standard_conforming_strings="on",
        lock_timeout=str(LOCK_TIMEOUT_MS),
        statement_timeout=str(STEP_TIMEOUT_MS),
    )
    try:
        with raising_unavailable():
            await _check_server(connection)
            await check_owner(connection, url=url, is_released=False)
            yield connection
    except UnfitOwner as refusal:
        raise refusal.at(url) from refusal
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def _check_server(connection: Connection) -> None:
    version, is_set = await connection.fetchrow(
        "select current_setting('server_version_num')::int,"
        " current_setting('check_function_bodies') = 'off'"
    ) or (0, False)
    if version < OLDEST_SERVER:
        raise ServerTooOld
    # A server sets what it was asked for while connecting; a pooler may drop it without a word.
    if not is_set:
        raise PoolerUndeclared


async def take_turn(connection: Connection) -> None:
    """Wait until no other release runs here; the lock is the session's and ends with it."""
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = {STEP_TIMEOUT_MS}")
            await connection.execute("select pg_advisory_lock(hashtextextended($1, 0))", TURN)
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        raise AnotherReleaseRuns from error


async def _files_for(connection: Connection, files: Sequence[SchemaFile]) -> list[SchemaFile]:
    """Return the files that this database needs.

    Supabase has its own roles and auth schema, so it needs no shim. Only a database that `coinfleet
    upgrade` works on, or brought here, needs what erases the rows of an older generation.
    """
    is_supabase, is_upgraded = await connection.fetchrow(
        """
        select
            exists (select from pg_roles where rolname = 'supabase_admin'),
            to_regclass('fleet.upgrade_runs') is not null
        """
    ) or (False, False)
    unneeded = {Kind.SHIM} if is_supabase else set()
    if not is_upgraded:
        unneeded.add(Kind.LEGACY)
    return [file for file in files if file.kind not in unneeded]


async def _lacks_books(connection: Connection) -> bool:
    return bool(await connection.fetchval("select to_regclass('fleet.schema_objects') is null"))


async def _open_books(connection: Connection) -> None:
    if await _lacks_books(connection):
        sql = schema.BOOKKEEPING.read_text(encoding="utf-8")
        async with connection.transaction():
            await _execute(connection, "db/bookkeeping.sql", sql)


async def _read_book(connection: Connection) -> dict[tuple[str, str], Record]:
    rows = await connection.fetch(
        """
        select 'migration' as kind, name, checksum, applied_at from fleet.schema_migrations
        union all
        select kind, name, checksum, applied_at from fleet.schema_objects where checksum <> $1
        """,
        schema.REMOVED,
    )
    return {(row["kind"], row["name"]): Record(**row) for row in rows}


async def _take(connection: Connection, step: Step, *, is_new: bool) -> None:
    """Take one step in its own transaction, again after a lock timeout or a deadlock."""
    for tried in range(1, TRIES + 1):
        try:
            async with connection.transaction():
                before = await _namesakes(connection, step) if is_new else []
                # A file that is gone may leave nothing to drop, and an empty query has no answer.
                if step.sql:
                    await _execute(connection, step.path, step.sql)
                if before and before == await _namesakes(connection, step):
                    raise StepFailed(step.path, _TAKEN)
                await _record(connection, step)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if tried == TRIES:
                raise StepFailed(step.path, f"never got its locks in {TRIES} tries") from error
            await asyncio.sleep(_pause_s(tried))
        else:
            return


async def _namesakes(connection: Connection, step: Step) -> list[int]:
    """The functions that there are by the name of a step's; a new file's must not replace one."""
    if step.kind != Kind.FUNCTION:
        return []
    return (
        await connection.fetchval(
            """
        select array_agg(oid order by oid) from pg_proc
        where pronamespace::regnamespace::text || '.' || proname = $1
        """,
            step.name,
        )
        or []
    )


def _pause_s(tried: int) -> float:
    """Wait twice as long each time, never in step with what was in the way."""
    return min(LONGEST_PAUSE_S, 0.1 * 2.0**tried) * random.uniform(0.5, 1)  # noqa: S311 -- no secret


async def _execute(connection: Connection, path: str, sql: str) -> None:
    try:
        await connection.execute(sql)
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        raise StepFailed(
            path, _explain(error), line=_line(error, sql), sqlstate=error.sqlstate
        ) from error
    if not connection.is_in_transaction():
        raise StepFailed(path, "it ends the transaction it runs in; leave that to the runner")


def _explain(error: asyncpg.PostgresError) -> str:
    parts = (str(error), error.detail, error.hint, error.context)
    return "; ".join(part.replace("\n", " ") for part in parts if part)


def _line(error: asyncpg.PostgresError, sql: str) -> int | None:
    """Turn PostgreSQL's offset, which counts characters from 1, into a line of the file."""
    return sql.count("\n", 0, int(error.position) - 1) + 1 if error.position else None


async def _record(connection: Connection, step: Step) -> None:
    if step.checksum is None and step.kind == Kind.FUNCTION:
        await connection.execute(
            """
            update fleet.schema_objects set checksum = $3, applied_at = clock_timestamp()
            where kind = $1 and name = $2
            """,
            step.kind,
            step.name,
            schema.REMOVED,
        )
    elif step.checksum is None:
        await connection.execute(
            "delete from fleet.schema_objects where kind = $1 and name = $2", step.kind, step.name
        )
    elif step.kind == Kind.MIGRATION:
        await connection.execute(
            "insert into fleet.schema_migrations (version, name, checksum) values ($1, $2, $3)",
            int(step.name[:14]),
            step.name,
            step.checksum,
        )
    else:
        await connection.execute(
            """
            insert into fleet.schema_objects (kind, name, checksum) values ($1, $2, $3)
            on conflict (kind, name) do update
                set checksum = excluded.checksum, applied_at = clock_timestamp()
            """,
            step.kind,
            step.name,
            step.checksum,
        )
