"""What an operator's command hears when the database is away, shuts the door or isn't ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from db.errors import CoinfleetError, StoreUnavailable, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoreRefused(CoinfleetError):
    """The database answers, but lets us not in: the address, the name or the password is wrong."""


# A wrong password is an invalid authorization.
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


class NotReleased(CoinfleetError):
    """The database lacks tables or functions of this release: run `coinfleet migrate`."""


@contextmanager
def entering_store() -> Iterator[None]:
    """Raise StoreRefused where the database lets us not in; all else goes through."""
    try:
        yield
    except _REFUSALS as error:
        raise StoreRefused(f"the database refuses: {error}") from error


@contextmanager
def reaching_store() -> Iterator[None]:
    """Raise one of three errors, each a line for a person, in place of what the database raised.

    StoreUnavailable, StoreRefused or NotReleased; whatever else is raised goes through.
    """
    try:
        yield
    except _REFUSALS as error:
        raise StoreRefused(f"the database refuses: {error}") from error
    except (
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedFunctionError,
        asyncpg.InvalidSchemaNameError,
        asyncpg.InsufficientPrivilegeError,  # grants come last in a first release
    ) as error:
        raise NotReleased from error
    except Exception as error:
        if is_transient(error):
            raise StoreUnavailable from error
        raise
