"""Brings a platform of an older generation to the current schema, without losing a row or a coin.

    check → move the old tables aside → release → stage → copy → prove → grant access again

Each batch is one transaction that also records how far it came (fleet.upgrade_steps), so an upgrade
that was killed goes on from there. stage/ judges each old row once: it moves, or is set aside with
a reason. copy/ moves the rows in batches; coins go through fleet.post_ledger, as always.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from db.errors import CoinfleetError, is_transient
from db.legacy import proof as upgrade_proof
from db.legacy.access import grant_access_again, revoke_access
from db.legacy.copying import Batches
from db.legacy.faults import check_source
from db.legacy.plan import PLAN
from db.legacy.scripts import run_script
from db.legacy.staging import is_staged, make_upgrade_schema, stage
from db.legacy.tables import OldTables
from db.legacy.undo import put_back
from db.release.rights import check_release_rights
from db.release.runner import bring_up
from db.release.schema import expected, login_roles
from db.release.session import owner_session, take_release_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from db.connections.pool import Connection
    from db.legacy.proof import Proof
    from db.release.generations import Generation

    OnProgress: TypeAlias = Callable[[str, int, int], None]

# A batch of gifts posts three entries each; a thousand of them take a good tenth of a second.
BATCH_ROWS = 1_000
# Staging reads whole old tables; nobody else works meanwhile.
STAGE_TIMEOUT_MS = 4 * 60 * 60_000

# Tables that were filled a moment ago: nobody else has analyzed them yet.
PROVED_BY = "public.profiles, public.coin_purchases, public.gifts, public.ledger_entries"


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
    """The result of an upgrade; `was_done` if an earlier run had finished it."""

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
    """Upgrade, or go on with an upgrade that was interrupted; a finished one is not changed.

    `url` is the schema owner's. A dry run does all of it in one transaction and rolls that back.
    Clients and processes get their access back, and the upgrade counts as finished, only with a
    proof that holds. Raises NotThisGeneration, TablesInUse and other CoinfleetErrors.
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
        await put_back(connection, generation)


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
        """Return whether the old tables were moved aside already."""
        return bool(
            await self.connection.fetchval("select to_regclass('fleet.upgrade_runs') is not null")
        )

    async def recorded_proof(self) -> Proof | None:
        """Return the proof of an upgrade that has finished. Raises OtherGeneration."""
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
        """Do what is left to do; on a finished upgrade nothing."""
        if not await self.has_begun():
            await check_release_rights(self.connection, roles=login_roles())
            await self._begin()
        elif proof := await self.recorded_proof():
            return Result(proof, was_done=True)
        self._say("release", 0, 1)
        await take_release_lock(self.connection)
        # In one transaction, so that nobody uses a grant of the release before access is revoked.
        async with self.connection.transaction():
            await bring_up(self.connection, expected(), makes_good=False)
            await revoke_access(self.connection)
        self._say("release", 1, 1)
        await make_upgrade_schema(self.connection, self.generation)
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
            await run_script(self.connection, "bookkeeping.sql")
            await self.connection.execute(
                "insert into fleet.upgrade_runs (generation, users_table) values ($1, $2)",
                self.generation,
                self.users_table,
            )
            await OldTables(self.connection, self.generation).move_aside()
        self._say("moving aside", 1, 1)

    async def _stage(self, step: str) -> None:
        if not await is_staged(self.connection, step):
            self._say(f"judging {step}", 0, 1)
            await stage(self.connection, self.generation, step)
            self._say(f"judging {step}", 1, 1)

    async def _finish(self, proof: Proof) -> None:
        """Record the proof, grant access again and drop the schema upgrade, all at once."""
        async with self.connection.transaction():
            await run_script(self.connection, "finish.sql")
            await grant_access_again(self.connection)
            await self.connection.execute(
                """
                update fleet.upgrade_runs set proof = $1::jsonb, finished_at = clock_timestamp()
                """,
                upgrade_proof.encode(proof),
            )
