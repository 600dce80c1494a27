"""Corrections of a balance by an operator, through the ledger, with who and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from db.connections.pool import open_connection
from db.connections.roles import check_owner
from db.connections.servers import CONNECT_TIMEOUT_S
from db.errors import AccountFull, CoinfleetError, refusal

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection


class AdjustmentRefused(CoinfleetError):
    """No correction can be made like this; the message says why."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The balance after a correction; of one that was `replayed`, the balance of then."""

    balance: int
    replayed: bool


async def adjust_balance(
    url: str,
    profile_id: UUID,
    amount: int,
    *,
    who: str,
    reason: str,
    key: str,
    dry_run: bool = False,
) -> Adjustment:
    """Move coins of a profile as the schema's owner, once per key.

    With `dry_run` it is done and taken back in one transaction.

    Raises UnknownProfile, InsufficientCoins, IdempotencyConflict, AdjustmentRefused, asyncpg's own
    errors, and DatabaseUnavailable.
    """
    connection = await open_connection(url, application_name="coinfleet adjust")
    try:
        await check_owner(connection, url=url)
        transaction = connection.transaction()
        await transaction.start()
        made = await correct(connection, profile_id, amount, who=who, reason=reason, key=key)
        await (transaction.rollback() if dry_run else transaction.commit())
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    return made


async def correct(
    connection: Connection, profile_id: UUID, amount: int, *, who: str, reason: str, key: str
) -> Adjustment:
    """Move coins of a profile in the caller's transaction, once per key.

    Raises UnknownProfile, InsufficientCoins, IdempotencyConflict and AdjustmentRefused; then the
    transaction can only be rolled back.
    """
    try:
        row = await connection.fetchrow(
            "select balance, replayed from fleet.adjust_balance($1, $2, $3, $4, $5)",
            profile_id,
            amount,
            who,
            reason,
            key,
        )
    except asyncpg.InvalidParameterValueError as error:
        raise AdjustmentRefused(str(error)) from error
    except asyncpg.NumericValueOutOfRangeError as error:
        raise AdjustmentRefused("no balance can be so large") from error
    except asyncpg.PostgresError as error:
        refused = refusal(error)
        if isinstance(refused, AccountFull):
            raise AdjustmentRefused("no balance can be so large") from error
        if refused:
            raise refused from error
        raise
    assert row is not None  # noqa: S101 -- one row, or an error
    return Adjustment(**row)
