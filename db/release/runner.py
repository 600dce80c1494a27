"""The release: brings a database to the schema that the SQL files of db/ describe.

    shim → logins → migrations → functions → legacy → views → invariants → policies

migrations/   tables, constraints, indexes; each applied once, in the order of their versions. A
              changed one is an error. What can't run inside a transaction (`create index
              concurrently`), or ends its own, is not supported.
functions/    and views/: current text (`create or replace`), applied whenever its checksum changed.
              A trigger stands below its function, in the same file: `create or replace trigger`.
              A function whose file is gone is dropped last, when nothing calls it any more; what
              else the file made is dropped by a migration of the same commit.
legacy/functions/  the same, but only in a database that an upgrade works on or brought here. A file
              that is gone, or a database whose upgrade's tables were dropped, loses the function.
invariants/   bare queries; each becomes the view invariants.<file name>, its leading `--` lines the
              view's comment. A view goes with its file.
policies/     <process>.sql says what a login role may execute, clients.sql what the API roles may.
              They are applied again after any change; <schema>.<table>.sql, the rights to a table
              and its row level security, after a migration. Each must bear being applied twice.
shim/         Supabase's roles and auth schema, for databases that aren't Supabase's.
logins/       the roles of our processes, without a password.

What a file made may be lost without its text having changed: a restore without the roles, a dropped
trigger, a revoked grant. A release records what it left in the catalog, and compares with that at
its next start (db/release/catalog.py): a file of which something is lost or added is applied again.

Each step is a short transaction with a lock timeout, tried again when it ran into one, so that live
workers go on. One release works at a time, others wait for it. The search path is empty here: names
in the files are schema-qualified.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import asyncpg

from db.release import catalog, plan
from db.release.generations import refuse_older_generation
from db.release.records import lacks_records, read_records
from db.release.rights import check_release_rights
from db.release.schema import Kind, SchemaFile, expected, login_roles
from db.release.session import owner_session, take_release_lock
from db.release.sign_ups import make_profiles
from db.release.steps import make_records, take_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from db.connections.pool import Connection
    from db.release.catalog import Difference
    from db.release.plan import StatusRow, Step

MENDED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did, in order; no step if the database was current.

    `profiles_made` is for users older than the schema; None if auth.users could not be read.
    `sequences_mended` were behind their tables, as a move by logical replication leaves them.
    """

    steps: tuple[Step, ...]
    profiles_made: int | None = 0
    sequences_mended: int = 0
    different: tuple[Difference, ...] = ()
    """What somebody added to the catalog, or took, that applying the files again does not undo."""


async def migrate(url: str, *, on_step: Callable[[Step], None] | None = None) -> Report:
    """Bring the database to this release's schema; a second call finds nothing to do.

    Users who signed up before the schema was here get their profiles. Sequences that a move left
    behind their tables go on after the newest row.
    `url` is the schema owner's. `on_step` is called with each step once it is committed. Raises
    SchemaProblem, with the steps before it kept, and DatabaseUnavailable.
    """
    async with _release_session(url) as connection:
        report = await bring_up(connection, expected(), on_step=on_step)
        await mend_freezes(connection)
        return replace(
            report,
            sequences_mended=await connection.fetchval("select fleet.mend_sequences()"),
            profiles_made=await make_profiles(connection),
        )


async def mend_freezes(connection: Connection) -> None:
    """Mend what workers of the last release wrote while the freezes' tables were new to them.

    What is locked now, housekeeping mends within a minute.
    """
    with suppress(asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        await connection.fetchval("select fleet.mend_freezes($1)", MENDED_AT_ONCE)


async def apply_files(
    url: str, files: Sequence[SchemaFile], *, on_step: Callable[[Step], None] | None = None
) -> Report:
    """Do for any set of files what `migrate` does for this release's, without making profiles."""
    async with _release_session(url) as connection:
        return await bring_up(connection, files, on_step=on_step)


@asynccontextmanager
async def _release_session(url: str) -> AsyncIterator[Connection]:
    async with owner_session(url) as connection:
        await take_release_lock(connection)
        await refuse_older_generation(connection)
        yield connection


async def bring_up(
    connection: Connection,
    files: Sequence[SchemaFile],
    *,
    on_step: Callable[[Step], None] | None = None,
    makes_good: bool = True,
) -> Report:
    """Do the same in an `owner_session` that holds the lock; inside its transaction, if it has one.

    Without `makes_good` only new texts are applied: an upgrade takes rights away while it runs.
    """
    await check_release_rights(connection, roles=login_roles())
    await make_records(connection)
    records = await read_records(connection)
    wanted = await _files_for(connection, files)
    differences = await _find_differences(connection) if makes_good else None
    damaged = _damaged(differences, wanted) if makes_good else set()
    steps = plan.plan(wanted, records, damaged)
    for step in steps:
        await take_step(connection, step, is_new=(step.kind, step.name) not in records)
        if on_step:
            on_step(step)
    changed = [step for step in steps if plan.has_new_text(step, records)]
    migrated = any(step.kind == Kind.MIGRATION for step in changed)
    async with connection.transaction():
        different = await catalog.record(
            connection, changed, everything=migrated, before=differences
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
    """Return the files that the catalog differs from; all of them if that can't be found out."""
    if differences is not None:
        return catalog.keys(differences)
    can_tell = (Kind.FUNCTION, "fleet.catalog_differences")
    everything: set[tuple[str, str]] = {
        (file.kind, file.name) for file in files if file.kind is not Kind.MIGRATION
    }
    return everything if can_tell in everything else set()


async def status(url: str) -> list[StatusRow]:
    """Return for each file whether this database has it; changes nothing."""
    async with owner_session(url) as connection:
        files = await _files_for(connection, expected())
        if await lacks_records(connection):
            return plan.compare(files, {})
        damaged = _damaged(await _find_differences(connection), files)
        return plan.compare(files, await read_records(connection), damaged)


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
