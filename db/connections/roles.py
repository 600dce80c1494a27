"""Which role is logged in, and whether it is the one that a process or a command needs.

A wrong address may log in all the same, as another role or into another database. That is refused
here in one line, before work begins. What a release needs is checked in db/release/rights.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from db.connections.address import Address
from db.connections.pool import open_connection
from db.errors import CoinfleetError, DatabaseRefused

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


class ProcessLogin(Protocol):
    """A process, as far as its login goes; workers/processes.py lists them."""

    @property
    def role(self) -> str:
        """The role that it needs."""

    @property
    def address(self) -> str:
        """The setting that holds its database address."""

    @property
    def application_name(self) -> str:
        """What the server shows of its sessions."""


class NotReleased(CoinfleetError):
    """The database lacks tables or functions of this release: run `coinfleet migrate`."""


class WrongRole(DatabaseRefused):
    """The address logs in as a role that can't do this work."""

    def __init__(self, address: Address, *, got: str, needed: str, setting: str) -> None:
        super().__init__(
            f"The database at {address} logged us in as {got}, but this needs {needed}:"
            f" set {setting} to that role's address"
        )


async def check_process_role(
    database: Pool | Connection, process: ProcessLogin, *, url: str
) -> None:
    """Raise WrongRole unless we are logged in as this process's role or as the schema's owner.

    A role that inherits from one of them will do. Before a first release there is no such role yet,
    and any is taken.
    """
    row = await database.fetchrow(
        """
        select
            current_user::text as got,
            pg_has_role(current_user, r.oid, 'usage')
            or pg_has_role(current_user, n.nspowner, 'usage') as is_fit
        from (select) as one
        left join pg_catalog.pg_roles as r on r.rolname = $1
        left join pg_catalog.pg_namespace as n on n.nspname = 'fleet'
        """,
        process.role,
    )
    if row is not None and row["is_fit"] is False:
        raise WrongRole(
            Address.parse(url),
            got=row["got"],
            needed=process.role,
            setting=process.address,
        )


async def check_login(process: ProcessLogin, *, url: str, within_s: float) -> None:
    """Log in once, in a session that no pool keeps, and check the role as above.

    Raises DatabaseRefused, WrongRole among it, and DatabaseUnavailable.
    """
    connection = await open_connection(
        url, application_name=process.application_name, command_timeout_s=within_s
    )
    try:
        await check_process_role(connection, process, url=url)
    finally:
        connection.terminate()


async def check_owner(database: Pool | Connection, *, url: str, is_released: bool = True) -> None:
    """Raise WrongRole unless we are logged in as the schema's owner.

    Raises NotReleased if there is no schema, unless `is_released` is False.
    """
    row = await database.fetchrow(
        """
        select
            current_user::text as got,
            current_database()::text as database,
            n.nspowner::regrole::text as owner,
            pg_has_role(current_user, n.nspowner, 'usage') as is_fit
        from (select) as one
        left join pg_catalog.pg_namespace as n on n.nspname = 'fleet'
        """
    )
    assert row is not None  # noqa: S101 - one row, whatever is there
    address = Address.parse(url)
    if row["is_fit"] is False:
        needed = f"{row['owner']}, which owns the schema"
        raise WrongRole(address, got=row["got"], needed=needed, setting="DATABASE_URL")
    if row["is_fit"] is None and is_released:
        raise NotReleased(
            f"The database {row['database']} at {address} holds no schema of coinfleet: run"
            " `coinfleet migrate`, or correct DATABASE_URL"
        )
