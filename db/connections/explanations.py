"""What an operator's command says when the database is unreachable, refuses it or isn't ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from db.connections.roles import NotReleased
from db.errors import raising_unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def explained_errors() -> Iterator[None]:
    """Raise an error whose message is a line for a person, in place of what the database raised.

    DatabaseUnavailable, or DatabaseRefused, one of these; or NotReleased. Any other error goes
    through.
    """
    with raising_unavailable():
        try:
            yield
        except (
            asyncpg.UndefinedTableError,
            asyncpg.UndefinedFunctionError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.InsufficientPrivilegeError,  # grants come last in a first release
        ) as error:
            raise NotReleased from error
