"""The fate of an error: what follows for the events in whose batch it was raised.

FATES is the one table by SQLSTATE. fleet.apply_or_bisect has its transient rows as conditions of
SQL, and a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

import asyncpg

from db.errors.base import DatabaseUnavailable
from db.errors.descriptions import sqlstate_of
from db.errors.messages import (
    LOST_CONNECTION,
    LOST_IN_TRANSACTION,
    has_one_of,
    is_poolers,
    text_of,
)


class Fate(StrEnum):
    """What follows from an error for the events in whose batch it was raised."""

    # The same batch may succeed later; counts against no event.
    TRANSIENT = "transient"
    # One event of the batch caused it: it is found by halving, and its attempts are counted.
    EVENT = "event"
    # Our SQL and this database don't match. Handled as EVENT, unless a release is half way.
    BUG = "bug"


# By SQLSTATE, or by its first two characters (its class) where a whole class is alike. What is not
# listed is a bug.
FATES: dict[str, Fate] = {
    "08": Fate.TRANSIENT,  # connection lost or refused; PgBouncer gives 08P01 to all it has to say
    "22": Fate.EVENT,  # data that SQL can't take
    "23": Fate.EVENT,  # a constraint; a unique violation that is left is the event's own
    "25006": Fate.TRANSIENT,  # read only: a standby, or default_transaction_read_only
    "25P03": Fate.TRANSIENT,  # idle in transaction for too long: our process was frozen
    "25P04": Fate.TRANSIENT,  # transaction timeout; see TIMEOUTS
    "26": Fate.TRANSIENT,  # no such prepared statement: a transaction pooler, not declared
    "40": Fate.TRANSIENT,  # serialization failure, deadlock
    "40002": Fate.EVENT,  # a deferred constraint
    "42P05": Fate.TRANSIENT,  # a prepared statement of this name exists: as 26000
    "53": Fate.TRANSIENT,  # out of connections, memory or disk
    "54": Fate.EVENT,  # more than a limit of PostgreSQL's own
    "55006": Fate.TRANSIENT,  # object in use
    "55P03": Fate.TRANSIENT,  # lock timeout
    "57": Fate.TRANSIENT,  # shut down, crashed, starting up, dropped, cancelled; see TIMEOUTS
    "58": Fate.TRANSIENT,  # input or output failed
    "72": Fate.TRANSIENT,  # snapshot too old
    "CF": Fate.EVENT,  # a refusal that the caller did not expect
    "P0": Fate.EVENT,  # raised by a function or trigger
}

# A statement that runs into our own timeout may be too large a batch. A lone event's is its own.
TIMEOUTS = frozenset({"57014", "25P04"})
_OPERATOR_CANCELLED = "due to user request"


def fate(error: BaseException, *, is_alone: bool = False) -> Fate:
    """Return what follows for the events in whose batch the error was raised.

    `is_alone` says that the batch was a single event.
    """
    match error:
        case asyncpg.PostgresError():
            return _fate_by_sqlstate(error, is_alone=is_alone)
        case asyncpg.OutdatedSchemaCacheError():
            is_passing = True
        case asyncpg.InterfaceError():
            is_passing = has_one_of(error, LOST_CONNECTION)
        case asyncpg.InternalClientError():
            is_passing = text_of(error).startswith(LOST_IN_TRANSACTION)
        case _:  # refused, reset, unreachable; TimeoutError is an OSError
            is_passing = isinstance(error, DatabaseUnavailable | OSError)
    return Fate.TRANSIENT if is_passing else Fate.BUG


def _fate_by_sqlstate(error: asyncpg.PostgresError, *, is_alone: bool) -> Fate:
    sqlstate = error.sqlstate or ""
    if is_alone and is_timeout(error):
        return Fate.EVENT
    if is_poolers(error) or isinstance(error, asyncpg.InvalidCachedStatementError):
        # The latter: a release changed a table under a statement that is prepared anew next time.
        return Fate.TRANSIENT
    return fate_of_sqlstate(sqlstate)


def fate_of_sqlstate(sqlstate: str) -> Fate:
    """Return what FATES says of an SQLSTATE."""
    return FATES.get(sqlstate) or FATES.get(sqlstate[:2], Fate.BUG)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later with nothing changed on our side."""
    return fate(error) is Fate.TRANSIENT


def is_timeout(error: BaseException) -> bool:
    """Return whether the server ended a statement of ours because it took too long."""
    return sqlstate_of(error) in TIMEOUTS and _OPERATOR_CANCELLED not in text_of(error)
