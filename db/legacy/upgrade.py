"""Brings a platform of an older generation to the current schema, without losing a row or a coin.

    check → move the old tables aside → release → stage → copy in batches → prove → open the doors

Each batch is one transaction that also writes how far it came (fleet.upgrade_steps), so an upgrade
that was killed goes on where it was. legacy/stage/ judges each old row once: it moves, or is set
aside with a reason. legacy/copy/ moves them; money goes through fleet.post_ledger, as always.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import asyncpg

from db.errors import CoinfleetError, is_transient
from db.legacy import proof as upgrade_proof
from db.legacy.access import close_doors, open_doors
from db.legacy.copying import Batches
from db.legacy.proof import Proof
from db.legacy.sources import check_source
from db.legacy.tables import LEGACY, OldTables
from db.release.generations import Generation
from db.release.rights import check_release_rights
from db.release.runner import bring_up
from db.release.schema import expected, login_roles
from db.release.session import owner_session, take_release_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from db.connections.pool import Connection

    OnProgress: TypeAlias = Callable[[str, int, int], None]

# A batch of gifts posts three entries each; a thousand of them take a good tenth of a second.
BATCH_ROWS = 1_000
# A stage reads a whole old table; nobody else works meanwhile.
STAGE_TIMEOUT_MS = 4 * 60 * 60_000

# Tables that were filled a moment ago, and are joined whole; nobody else has counted them yet.
JUDGED_BY = "fleet.upgraded_users, public.live_streams, public.gift_types"
PROVED_BY = "public.profiles, public.coin_purchases, public.gifts, public.ledger_entries"

Verb: TypeAlias = Literal["stage", "copy"]
# In this order: openings come before the history that they open, closings after it.
PLAN: tuple[tuple[Verb, str], ...] = (
    ("stage", "people"),
    ("copy", "people"),
    ("stage", "streams"),
    ("copy", "streams"),
    ("stage", "gift_types"),
    ("copy", "gift_types"),
    ("stage", "purchases"),
    ("stage", "gifts"),
    ("stage", "movements"),
    ("stage", "openings"),
    ("copy", "openings"),
    ("copy", "purchases"),
    ("copy", "gifts"),
    ("copy", "movements"),
    ("stage", "closings"),
    ("copy", "closings"),
    ("stage", "follows"),
    ("copy", "follows"),
    ("stage", "links"),
    ("copy", "links"),
    ("stage", "messages"),
    ("copy", "messages"),
    ("stage", "leftovers"),
    ("copy", "leftovers"),
)


class AnotherUpgradeRuns(CoinfleetError):
    """Another session is upgrading this database."""


class OtherGeneration(CoinfleetError):
    """This database is being upgraded, or was, from another generation."""


class Stopped(CoinfleetError):
    """PostgreSQL refused a step of the upgrade; what was committed before it stays."""


class UnderWay(CoinfleetError):
    """A dry run comes before the upgrade; this one has begun."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an upgrade came to; `was_done` when an earlier run had finished it."""

    proof: Proof
    was_done: bool = False


async def upgrade(
    url: str,
    generation: Generation,
    *,
    dry_run: bool = False,
    users_table: str | None = None,
    batch_rows: int = BATCH_ROWS,
    on_progress: OnProgress | None = None,
) -> Result:
    """Upgrade, or go on with an upgrade that was interrupted; a finished one is left alone.

    `url` is the schema owner's. A dry run does all of it in one transaction and rolls that back.
    The doors open, and the upgrade counts as finished, only with a proof that holds. Raises
    NotThisGeneration, TablesInUse and other CoinfleetErrors.
    """
    async with _session(url) as connection:
        if not await connection.fetchval(
            "select pg_try_advisory_lock(hashtextextended('coinfleet.upgrade', 0))"
        ):
            raise AnotherUpgradeRuns
        run = Upgrade(connection, generation, users_table, batch_rows, on_progress)
        if not dry_run:
            return await run.go_on()
        if await run.has_begun():
            if proof := await run.recorded_proof():
                return Result(proof, was_done=True)
            raise UnderWay
        transaction = connection.transaction()
        await transaction.start()
        try:
            return await run.go_on()
        finally:
            if not connection.is_closed():
                await transaction.rollback()


async def undo(url: str, generation: Generation) -> None:
    """Put everything back that `upgrade` moved aside, and drop what it made; in one transaction.

    Raises NoWayBack once the fleet has worked with the database.
    """
    async with _session(url) as connection, connection.transaction():
        await OldTables(connection, generation).put_back()


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Connection]:
    async with owner_session(url, application_name="coinfleet upgrade") as connection:
        await connection.execute(f"set statement_timeout = {STAGE_TIMEOUT_MS}")
        await connection.execute("set idle_in_transaction_session_timeout = 0")
        # Whole tables are sorted and joined, by one session.
        await connection.execute("set work_mem = '128MB'")
        try:
            yield connection
        except asyncpg.PostgresError as error:
            if is_transient(error):
                raise
            where = f" ({error.context.splitlines()[0]})" if error.context else ""
            raise Stopped(f"PostgreSQL refused a step of the upgrade: {error}{where}") from error


@dataclass(slots=True)
class Upgrade:
    """One run on one connection."""

    connection: Connection
    generation: Generation
    users_table: str | None
    batch_rows: int
    on_progress: OnProgress | None

    async def has_begun(self) -> bool:
        """Whether the old tables were moved aside already."""
        return bool(
            await self.connection.fetchval("select to_regclass('fleet.upgrade_runs') is not null")
        )

    async def recorded_proof(self) -> Proof | None:
        """Give the proof of an upgrade that has finished."""
        row = await self.connection.fetchrow(
            "select generation, proof, finished_at from fleet.upgrade_runs"
        )
        assert row is not None  # noqa: S101 -- written when the tables were moved
        if row["generation"] != self.generation:
            raise OtherGeneration(
                f"this database was moved from the {row['generation']} generation"
            )
        return upgrade_proof.decode(row["proof"]) if row["finished_at"] else None

    async def go_on(self) -> Result:
        """Do what is left to do."""
        if not await self.has_begun():
            await check_release_rights(self.connection, roles=login_roles())
            await self._begin()
        elif proof := await self.recorded_proof():
            return Result(proof, was_done=True)
        self._say("release", 0, 1)
        await take_release_lock(self.connection)
        # All at once: nobody enters by a grant of the release before the doors are closed.
        async with self.connection.transaction():
            await bring_up(self.connection, expected(), makes_good=False)
            await close_doors(self.connection)
        self._say("release", 1, 1)
        await self._open_workshop()
        for verb, step in PLAN:
            if verb == "stage":
                await self._stage(step)
            else:
                batches = Batches(self.connection, step, self.batch_rows)
                async for done, staged in batches.copy():
                    self._say(step, done, staged)
        self._say("proof", 0, 1)
        await self.connection.execute(f"analyze {PROVED_BY}")
        proof = await upgrade_proof.prove(self.connection)
        if proof.holds:
            await self._finish(proof)
        self._say("proof", 1, 1)
        return Result(proof)

    def _say(self, step: str, done: int, total: int) -> None:
        if self.on_progress:
            self.on_progress(step, done, total)

    async def _begin(self) -> None:
        """Check everything, then move the old tables aside, all or nothing."""
        await check_source(self.connection, self.generation, users_table=self.users_table)
        self._say("moving aside", 0, 1)
        async with self.connection.transaction():
            await self._run(LEGACY / "bookkeeping.sql")
            await self.connection.execute(
                "insert into fleet.upgrade_runs (generation, users_table) values ($1, $2)",
                self.generation,
                self.users_table,
            )
            await OldTables(self.connection, self.generation).move_aside()
        self._say("moving aside", 1, 1)

    async def _open_workshop(self) -> None:
        """Install the views and functions that the steps work with."""
        if not await self.connection.fetchval("select to_regnamespace('upgrade') is not null"):
            async with self.connection.transaction():
                await self._run(LEGACY / "workshop.sql")
                await self._view_given_users()
                await self._view_homeless()
                await self._run(LEGACY / self.generation / "raw.sql")
                await self._run(LEGACY / self.generation / "proof.sql")
        for path in sorted((LEGACY / "copy").glob("*.sql")):
            await self._run(path)

    async def _view_given_users(self) -> None:
        users_table = await self.connection.fetchval(
            "select to_regclass(r.users_table)::text from fleet.upgrade_runs as r"
        )
        source = (
            f"select user_id::text as old_id, profile_id from {users_table}"  # noqa: S608 -- quoted
            if users_table
            else "select null::text as old_id, null::uuid as profile_id where false"
        )
        await self.connection.execute(f"create view upgrade.given_users as {source}")

    async def _view_homeless(self) -> None:
        """One view of all rows that have no home now, for the archive."""
        tables = await self.connection.fetch(
            """
            select quote_literal(t.table_name) as literal,
                format('%I.%I', $1::text, t.table_name) as name
            from fleet.upgrade_tables as t where not t.is_handled order by t.table_name
            """,
            self.generation.schema,
        )
        no_row = (
            "select ''::text as source_table, ''::text as source_key, null::jsonb as source_row"
        )
        selects = [
            f"{no_row} where false",
            *(
                f"select {row['literal']}, t.tableoid::text || t.ctid::text, to_jsonb(t)"  # noqa: S608
                f" from {row['name']} as t"
                for row in tables
            ),
        ]
        await self.connection.execute(
            f"create view upgrade.homeless as {' union all '.join(selects)}"
        )

    async def _stage(self, step: str) -> None:
        """Judge all rows of a step, once."""
        if await self._steps_known(step):
            return
        self._say(f"judging {step}", 0, 1)
        async with self.connection.transaction():
            await self.connection.execute(f"analyze {JUDGED_BY}")
            if step == "openings":
                await self._run(LEGACY / self.generation / "trusted.sql")
            await self._run(LEGACY / "stage" / f"{step}.sql")
            await self.connection.execute(
                f"""
                alter table upgrade.{step} add primary key (no);
                analyze upgrade.{step};
                insert into fleet.upgrade_steps (step, staged_rows)
                select '{step}', count(*) from upgrade.{step}
                """  # noqa: S608 -- a name of PLAN
            )
        self._say(f"judging {step}", 1, 1)

    async def _steps_known(self, step: str) -> bool:
        return bool(
            await self.connection.fetchval(
                "select exists (select from fleet.upgrade_steps where step = $1)", step
            )
        )

    async def _finish(self, proof: Proof) -> None:
        """Record the proof, open the doors, clear the workshop: all at once."""
        async with self.connection.transaction():
            await self._run(LEGACY / "finish.sql")
            await open_doors(self.connection)
            await self.connection.execute(
                """
                update fleet.upgrade_runs set proof = $1::jsonb, finished_at = clock_timestamp()
                """,
                upgrade_proof.encode(proof),
            )

    async def _run(self, path: Path) -> None:
        await self.connection.execute(path.read_text(encoding="utf-8"))  # noqa: ASYNC240 -- small
