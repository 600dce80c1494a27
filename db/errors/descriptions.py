"""An error in a line of text, for logs and for people, without the values that it may quote."""

from __future__ import annotations

import asyncpg

from db.errors.base import DatabaseUnavailable
from db.errors.messages import LOST_CONNECTION, LOST_IN_TRANSACTION, has_one_of, text_of
from db.errors.stored_errors import without_values

MESSAGE_LENGTH = 500


def describe(error: BaseException) -> str:
    """Return the error in a line for logs: its SQLSTATE or class, and its message without values.

    The detail of an error of PostgreSQL quotes rows, so it is left out.
    """
    sqlstate = sqlstate_of(error)
    message = text_of(error).partition("\n")[0]
    if isinstance(error, DatabaseUnavailable):
        # Our own message, which names host and port.
        return (error.reason or message)[:MESSAGE_LENGTH]
    if isinstance(error, TimeoutError):
        return message[:MESSAGE_LENGTH] if error.args else "no answer in time"
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and has_one_of(
        error, (*LOST_CONNECTION, LOST_IN_TRANSACTION)
    ):
        # The driver's message names only the call that noticed it.
        return "the connection was lost"
    if sqlstate is None:
        return f"{type(error).__name__}: {message}".removesuffix(": ")
    return f"{sqlstate}: {without_values(f'{sqlstate}: {message}')}"


def sqlstate_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of the error, or of what a DatabaseUnavailable was raised from."""
    if isinstance(error, DatabaseUnavailable):
        return sqlstate_of(error.__cause__)
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def server_message(error: Exception) -> str | None:
    """Return what the server said, on one line with its SQLSTATE; None if it was not the server."""
    if not isinstance(error, asyncpg.PostgresError) or argument_fault(error):
        return None
    return f"{' '.join(str(error).split())} (SQLSTATE {error.sqlstate})"


def argument_fault(error: Exception) -> str | None:
    """Return why the driver could not send what a person typed; None if it was something else."""
    if not isinstance(error, asyncpg.DataError):
        return None
    said = str(error)
    if not said.startswith("invalid input for query argument"):
        return None
    if "surrogates not allowed" in said:
        return "a text is not UTF-8"
    return "a number is too large" if "out of int" in said else None
