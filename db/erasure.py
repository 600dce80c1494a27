"""Erasure of a person: clears what tells who it was; the ledger stays as it is."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from db.connections.pool import open_connection
from db.connections.roles import check_owner
from db.connections.servers import CONNECT_TIMEOUT_S
from db.errors import refusal
from db.release.generations import UpgradeUnfinished, unfinished_upgrade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from db.connections.pool import Connection

# Every kept payload is read, which takes minutes if there are millions.
TIMEOUT_S = 1_800


@asynccontextmanager
async def _transaction(connection: Connection, *, keep: bool) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.commit() if keep else transaction.rollback())


@dataclass(frozen=True, slots=True)
class Erasure:
    """How many rows were cleared, by kind, and what about the person is still open.

    Open are events, calls to providers and messages to the app that have not been sent.
    """

    cleared: Mapping[str, int]
    open_events: int
    open_calls: int
    open_messages: int
    is_supabase: bool


async def erase_profile(
    url: str, profile_id: UUID, *, requested_by: str, reason: str, dry_run: bool = False
) -> Erasure:
    """Erase a person as the schema's owner; a repeated call clears what has come since.

    With `dry_run` everything is done, and locked, in one transaction that is then rolled back.

    Raises UnknownProfile, UpgradeUnfinished, asyncpg's own errors, and DatabaseUnavailable.
    """
    connection = await open_connection(
        url, application_name="coinfleet erase", command_timeout_s=TIMEOUT_S
    )
    try:
        await check_owner(connection, url=url)
        if generation := await unfinished_upgrade(connection):
            raise UpgradeUnfinished(generation)
        async with _transaction(connection, keep=not dry_run):
            await connection.execute(f"set local statement_timeout = '{TIMEOUT_S}s'")
            counts = json.loads(
                await connection.fetchval(
                    "select fleet.erase_profile($1, $2, $3)", profile_id, requested_by, reason
                )
            )
            return Erasure(
                open_events=counts.pop("open_events"),
                open_calls=counts.pop("open_calls"),
                open_messages=counts.pop("open_messages"),
                cleared=counts,
                is_supabase=await connection.fetchval(
                    "select to_regrole('supabase_auth_admin') is not null"
                ),
            )
    except asyncpg.PostgresError as error:
        if refused := refusal(error):
            raise refused from error
        raise
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
