"""What an operator's command hears when the database is away, shuts the door or isn't ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from db.connections.roles import NotReleased
from db.errors import DatabaseRefused, DatabaseUnavailable, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DatabaseRefused", "NotReleased", "reaching_store"]


@contextmanager
def reaching_store() -> Iterator[None]:
    """Raise one of three errors, each a line for a person, in place of what the database raised.

    DatabaseUnavailable, DatabaseRefused or NotReleased; whatever else is raised goes through.
    """
    try:
        yield
    except DatabaseUnavailable:
        raise
    except (
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedFunctionError,
        asyncpg.InvalidSchemaNameError,
        asyncpg.InsufficientPrivilegeError,  # grants come last in a first release
    ) as error:
        raise NotReleased from error
    except Exception as error:
        if is_transient(error):
            raise DatabaseUnavailable.by(error) from error
        raise
