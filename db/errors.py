"""What can go wrong in the database, as classes, and what each error says of an event.

SQL raises business refusals with an SQLSTATE of class `CF`; each has one class here.
"""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Self

import asyncpg

from db.failures import without_values

if TYPE_CHECKING:
    from collections.abc import Iterable


class CoinfleetError(Exception):
    """Something went wrong in coinfleet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class DatabaseUnavailable(CoinfleetError):
    """The database can't be reached or refuses work just now; the same call may work later."""

    @classmethod
    def by(cls, error: BaseException) -> Self:
        """Return what a person hears of an error that passes, its cause in a few words."""
        return cls(f"The database refuses work just now ({describe(error)}); try it again later")


class DatabaseRefused(DatabaseUnavailable):
    """The database can't be used as it is addressed: a fault of configuration, which waiting
    doesn't cure. It stops a process at its start; later it counts as an outage, for whoever mends
    it may do so while the process lives.
    """


class ReadOnlyServer(DatabaseUnavailable):
    """The server takes no writes: a standby, or `default_transaction_read_only` is on."""


class NoSessionFree(DatabaseUnavailable):
    """The database has no session left for this process, and none of its own became free."""


class Refused(CoinfleetError):
    """The database refused a request by a rule of the business; `reason` is the rule's name."""

    sqlstate: ClassVar[str]

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason


class InsufficientCoins(Refused):
    """The account holds fewer coins than this would take."""

    sqlstate = "CF001"


class PurchaseOverLimit(Refused):
    """The purchase is worth more than one purchase may be."""

    sqlstate = "CF002"


class PurchaseVelocity(Refused):
    """The buyer made too many purchases within a minute."""

    sqlstate = "CF003"


class UnknownGiftType(Refused):
    """No active gift type has this code."""

    sqlstate = "CF004"


class SelfGift(Refused):
    """A gift can't be sent to oneself."""

    sqlstate = "CF005"


class UnknownProfile(Refused):
    """A buyer, sender or recipient that the request names has no profile."""

    sqlstate = "CF006"


class UnknownStream(Refused):
    """No stream has this id."""

    sqlstate = "CF007"


class IdempotencyConflict(Refused):
    """The idempotency key was used before, for another request."""

    sqlstate = "CF008"


class AppendOnly(Refused):
    """What the ledger holds can't be changed or removed; write a correcting entry."""

    sqlstate = "CF010"


SQLSTATES: dict[str, type[Refused]] = {
    refused.sqlstate: refused
    for refused in (
        InsufficientCoins,
        PurchaseOverLimit,
        PurchaseVelocity,
        UnknownGiftType,
        SelfGift,
        UnknownProfile,
        UnknownStream,
        IdempotencyConflict,
        AppendOnly,
    )
}


class Fate(StrEnum):
    """What an error says of the events in whose batch it was raised."""

    # The same batch may succeed later; counts against no event.
    TRANSIENT = "transient"
    # One event of the batch provoked it: it is found by halving, and its attempts are counted.
    EVENT = "event"
    # Our SQL and this database don't fit. Handled as EVENT, unless a release is half way.
    BUG = "bug"


# By SQLSTATE, or by its first two characters (its class) where a whole class is alike. What is not
# listed is a bug. fleet.apply_or_bisect holds the transient rows as conditions of SQL.
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
    "CF": Fate.EVENT,  # a refusal that nobody expected here
    "P0": Fate.EVENT,  # raised by a function or trigger
}

# A statement that runs into our own timeout may be too large a batch. A lone event's is its own.
TIMEOUTS = frozenset({"57014", "25P04"})
_OPERATOR_CANCELLED = "due to user request"

# Supavisor gives the code of an internal error, XX000, to all it has to say, and a word of its own
# in front, such as (EMAXCONNSESSION). PgBouncer gives 08P01.
_POOLER = re.compile(r"\(E[A-Z_]+\)")
_UNKNOWN_TENANT = "Tenant or user not found"
_NO_SESSION_LEFT = (
    "(EMAXCONNSESSION)",
    "(EMAXCLIENTCONN)",
    "(ECHECKOUTTIMEOUT)",
    "MaxClientsInSessionMode",
    "Max client connections reached",
    # PgBouncer
    "no more connections allowed",
    "query_wait_timeout",
)
_FATAL = ("FATAL", "PANIC")

# asyncpg tells a lost connection from a misused one by the text of InterfaceError alone.
_LOST_CONNECTION = ("connection is closed", "pool is clos", "connection has been released")
# How it puts it when a connection is lost while a transaction ends.
_LOST_MEANWHILE = "cannot switch to state"


def fate(error: BaseException, *, is_alone: bool = False) -> Fate:
    """Return what the error says of the events in whose batch it was raised.

    `is_alone` says that the batch was a single event.
    """
    match error:
        case asyncpg.PostgresError():
            return _fate_by_sqlstate(error, is_alone=is_alone)
        case asyncpg.OutdatedSchemaCacheError():
            is_passing = True
        case asyncpg.InterfaceError():
            is_passing = _has_one_of(error, _LOST_CONNECTION)
        case asyncpg.InternalClientError():
            is_passing = _text(error).startswith(_LOST_MEANWHILE)
        case _:  # refused, reset, unreachable; TimeoutError is an OSError
            is_passing = isinstance(error, DatabaseUnavailable | OSError)
    return Fate.TRANSIENT if is_passing else Fate.BUG


def _fate_by_sqlstate(error: asyncpg.PostgresError, *, is_alone: bool) -> Fate:
    sqlstate = error.sqlstate or ""
    if is_alone and is_timeout(error):
        return Fate.EVENT
    if _is_poolers(error) or isinstance(error, asyncpg.InvalidCachedStatementError):
        # The latter: a release changed a table under a statement that is prepared anew next time.
        return Fate.TRANSIENT
    return fate_of_sqlstate(sqlstate)


def fate_of_sqlstate(sqlstate: str) -> Fate:
    """Return what FATES says of an SQLSTATE."""
    return FATES.get(sqlstate) or FATES.get(sqlstate[:2], Fate.BUG)


def server_words(error: Exception) -> str | None:
    """Return what the server said, on one line with its SQLSTATE; None if it was not the server."""
    if not isinstance(error, asyncpg.PostgresError):
        return None
    return f"{' '.join(str(error).split())} (SQLSTATE {error.sqlstate})"


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later with nothing changed on our side."""
    return fate(error) is Fate.TRANSIENT


def is_timeout(error: BaseException) -> bool:
    """Return whether the server ended a statement of ours because it took too long."""
    return sqlstate_of(error) in TIMEOUTS and _OPERATOR_CANCELLED not in _text(error)


def is_server_unfit(error: BaseException | None) -> bool:
    """Return whether the error says that its session, or the server behind it, serves nobody.

    Lost, silent, read only, shutting down, without this database or this role. Other sessions of
    the same pool are likely to be there as well: expire_if_unfit (db/connections/pool.py)
    has them opened anew.
    """
    match error:
        case ReadOnlyServer():
            return True
        case DatabaseUnavailable():
            return is_server_unfit(error.__cause__)
        case asyncpg.PostgresError():
            sqlstate = error.sqlstate or ""
            return (
                sqlstate in {"25006", "25P03", "26000", "42P05"}
                or sqlstate.startswith(("08", "28", "3D", "57P"))
                or _is_fatal(error)
                or _is_poolers(error)
            ) and not is_want_of_connections(error)
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() | OSError():
            return is_transient(error)
        case asyncio.CancelledError():  # a deadline of ours: the server went silent
            return True
        case _:
            return False


def is_want_of_connections(error: BaseException | None) -> bool:
    """Return whether the server, or a pooler before it, has no session left for us just now."""
    match error:
        case NoSessionFree():
            return True
        case DatabaseUnavailable():
            return is_want_of_connections(error.__cause__)
        case asyncpg.TooManyConnectionsError():
            return True
        case asyncpg.InternalServerError() | asyncpg.ProtocolViolationError():
            return _has_one_of(error, _NO_SESSION_LEFT)
        case _:
            return False


def _has_one_of(error: BaseException, signs: Iterable[str]) -> bool:
    return any(sign in _text(error) for sign in signs)


def _text(error: BaseException) -> str:
    """Return the error's message; asyncpg's own classes have none unless a server told it."""
    return str(error) if error.args else ""


def _is_poolers(error: asyncpg.PostgresError) -> bool:
    """Return whether a pooler said it, or a server that ended the session with an internal error.

    That a pooler knows no such tenant is a wrong address, and no condition that passes.
    """
    message = _text(error)
    return (
        isinstance(error, asyncpg.InternalServerError)
        and _UNKNOWN_TENANT not in message
        and (_is_fatal(error) or _POOLER.search(message) is not None)
    )


def _is_fatal(error: asyncpg.PostgresError) -> bool:
    """Return whether the session ended with it. Servers before 9.6 tell no severity in English."""
    severity: str | None = getattr(error, "severity_en", None) or error.severity
    return severity in _FATAL


MESSAGE_LENGTH = 500


def describe(error: BaseException) -> str:
    """Return the error in a line for logs: its SQLSTATE or class, and its message without values.

    The detail of an error of PostgreSQL quotes rows, so it is left out.
    """
    sqlstate = sqlstate_of(error)
    message = _text(error).partition("\n")[0]
    if isinstance(error, DatabaseUnavailable):
        # In words of ours, which name host and port.
        return message[:MESSAGE_LENGTH]
    if isinstance(error, TimeoutError):
        return message[:MESSAGE_LENGTH] if error.args else "no answer in time"
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and _has_one_of(
        error, (*_LOST_CONNECTION, _LOST_MEANWHILE)
    ):
        # The driver tells which of its calls found out, and not that the server or network did it.
        return "the connection was lost"
    if sqlstate is None:
        return f"{type(error).__name__}: {message}".removesuffix(": ")
    return f"{sqlstate}: {without_values(f'{sqlstate}: {message}')}"


def sqlstate_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of the error, or of what a DatabaseUnavailable was raised from."""
    if isinstance(error, DatabaseUnavailable):
        return sqlstate_of(error.__cause__)
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def refusal(error: asyncpg.PostgresError) -> Refused | None:
    """Give the business refusal that the SQL raised, or None when it is another kind of error."""
    refused = SQLSTATES.get(error.sqlstate or "")
    return refused(str(error)) if refused else None
