"""Copies what a step of an upgrade staged, batch by batch; each batch is one transaction."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from db.errors import is_transient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection

TRIES = 5
PAUSE_S = 0.5
# A row that the current schema refuses is quarantined. In these steps a refused row is a bug.
_NEVER_REFUSED = ("openings", "closings", "leftovers")
# Batches must find rows by index: the tables they fill grow faster than their statistics.
_BATCH_PLANS = "set local enable_hashjoin = off; set local enable_mergejoin = off"
_TO_QUARANTINE = """
insert into fleet.quarantine (source_table, source_key, reason, account, coins, source_row)
select source_table, source_key, reason, account, coins, source_row
from upgrade.{step} where no > $1 and no <= $2 and fate = 'quarantine' order by no
"""
_TO_ARCHIVE = """
insert into fleet.archived_rows (source_table, source_key, reason, coins, source_row)
select source_table, source_key, reason, coins, source_row
from upgrade.{step} where no > $1 and no <= $2 and fate = 'archive' order by no
"""
_REFUSED = """
update upgrade.{step} as s
set fate = $2, reason = $3, source_row = (
    select r.source_row from upgrade.raw_{step} as r where r.source_key = s.source_key limit 1
)
where s.no = $1
"""


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of one step that are left; `step` is one of the plan's."""

    connection: Connection
    step: str
    batch_rows: int

    async def copy(self) -> AsyncIterator[tuple[int, int]]:
        """Copy them; yield after each batch how many rows are done, and of how many."""
        done, staged = -1, 0
        while done < staged:
            done, staged = await self._copy_with_retries()
            yield done, staged

    async def _copy_with_retries(self) -> tuple[int, int]:
        """Copy one batch, again after an error that passes by itself."""
        for tried in range(1, TRIES + 1):
            try:
                return await self._copy_batch()
            except asyncpg.PostgresError as error:
                # After a lost connection only a new run helps.
                if tried == TRIES or not is_transient(error) or self.connection.is_closed():
                    raise
                await asyncio.sleep(PAUSE_S * tried)
        raise AssertionError

    async def _copy_batch(self) -> tuple[int, int]:
        async with self.connection.transaction():
            row = await self.connection.fetchrow(
                "select done_rows, staged_rows from fleet.upgrade_steps where step = $1 for update",
                self.step,
            )
            assert row is not None  # noqa: S101 -- staged before
            done, staged = row["done_rows"], row["staged_rows"]
            upto = min(done + self.batch_rows, staged)
            if done < staged:
                await self.connection.execute(_BATCH_PLANS)
                await self._copy_rows(done, upto)
                await self.connection.execute(_TO_QUARANTINE.format(step=self.step), done, upto)
                await self.connection.execute(_TO_ARCHIVE.format(step=self.step), done, upto)
            await self.connection.execute(
                """
                update fleet.upgrade_steps
                set done_rows = $2, batches = batches + ($2 > done_rows)::integer,
                    finished_at = case when $2 = staged_rows
                        then coalesce(finished_at, clock_timestamp()) end
                where step = $1
                """,
                self.step,
                upto,
            )
            return upto, staged

    async def _copy_rows(self, after: int, upto: int) -> None:
        """Copy a range of rows; one that the schema refuses is halved until one row is left."""
        try:
            async with self.connection.transaction():
                await self.connection.execute(
                    f"select upgrade.copy_{self.step}($1, $2)", after, upto
                )
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if self.step in _NEVER_REFUSED:
                raise
            if upto - after == 1:
                await self._refuse(upto, error)
                return
            middle = (after + upto) // 2
            await self._copy_rows(after, middle)
            await self._copy_rows(middle, upto)

    async def _refuse(self, no: int, error: asyncpg.PostgresError) -> None:
        """Set aside a row that the current schema can't hold."""
        if self.step == "people":
            await self.connection.execute("select upgrade.copy_bare_person($1)", no)
            return
        await self.connection.execute(
            _REFUSED.format(step=self.step),
            no,
            # A movement's coins are in its profile's closing entry: there is nothing to decide.
            "archive" if self.step == "movements" else "quarantine",
            f"refused: {getattr(error, 'constraint_name', None) or error.sqlstate}",
        )
