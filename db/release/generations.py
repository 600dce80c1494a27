"""The older generations of the platform, and how a database that holds one is known."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from db.connections.roles import NotReleased, check_owner
from db.errors import CoinfleetError

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


class Generation(StrEnum):
    """Which older schema a database has."""

    FIRST = "first"
    SECOND = "second"

    @property
    def schema(self) -> str:
        """The schema that its tables are moved to, and stay in."""
        return f"legacy_{self}"


class OlderGeneration(CoinfleetError):
    """The database holds an older generation of the platform, which a release can't change."""

    def __init__(self, generation: Generation) -> None:
        super().__init__(
            f"this database holds the platform's {generation} generation: run"
            f" `coinfleet upgrade --from {generation}` (docs/upgrading.md); nothing was changed"
        )
        self.generation = generation


class UpgradeUnfinished(CoinfleetError):
    """An upgrade of the database has begun and not finished: nothing else may change it."""

    def __init__(self, generation: Generation) -> None:
        super().__init__(
            f"an upgrade of this database has begun and hasn't finished: run"
            f" `coinfleet upgrade --from {generation}` again, or with --undo (docs/upgrading.md)"
        )
        self.generation = generation


async def refuse_older_generation(connection: Pool | Connection) -> None:
    """Raise OlderGeneration or UpgradeUnfinished if an upgrade has to come before a release."""
    if generation := await unfinished_upgrade(connection):
        raise UpgradeUnfinished(generation)
    older: str | None = await connection.fetchval(
        """
        select case
            when to_regclass('public.ledger_entries') is not null then null
            when to_regclass('public.coin_ledger') is not null then 'second'
            when to_regclass('public.users') is not null
                and to_regclass('public.coins') is not null then 'first'
        end
        """
    )
    if older:
        raise OlderGeneration(Generation(older))


async def check_released(database: Pool | Connection, *, url: str) -> None:
    """Raise WrongRole unless we own the schema, and NotReleased if no release has finished here.

    NotReleased says what to run: `upgrade` for an older generation or an unfinished upgrade, which
    `migrate` would refuse.
    """
    try:
        await check_owner(database, url=url)
    except NotReleased:
        await _refuse_unreleased(database)
        raise
    await _refuse_unreleased(database)


async def _refuse_unreleased(database: Pool | Connection) -> None:
    try:
        await refuse_older_generation(database)
    except (OlderGeneration, UpgradeUnfinished) as error:
        raise NotReleased(str(error)) from error


async def unfinished_upgrade(connection: Pool | Connection) -> Generation | None:
    """Return the generation that this database is being upgraded from, if it is."""
    if await connection.fetchval("select to_regclass('fleet.upgrade_runs') is null"):
        return None
    generation: str | None = await connection.fetchval(
        "select generation from fleet.upgrade_runs where finished_at is null"
    )
    return Generation(generation) if generation else None
