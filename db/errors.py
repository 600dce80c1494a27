"""What can go wrong in the database, as classes: business refusals, and a store that is away.

SQL raises business refusals with an SQLSTATE of class `CF`; each has one class here.
"""

from __future__ import annotations

from typing import ClassVar

import asyncpg


class CoinfleetError(Exception):
    """Something went wrong in coinfleet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class StoreUnavailable(CoinfleetError):
    """The database can't be reached or refuses work just now; the same call may work later."""


class StoreRefused(StoreUnavailable):
    """The database can't be used as it is addressed: a fault of configuration, which waiting
    doesn't cure. It stops a process at its start; later it counts as an outage, for whoever mends
    it may do so while the process lives.
    """


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

_TRANSIENT_SQLSTATES = frozenset(
    {
        "25006",  # read only: connected to a standby in the middle of a failover
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock timeout
        "57014",  # statement timeout
        "57P01",  # administrator's shutdown
        "57P02",  # crash of another server process
        "57P03",  # starting up or shutting down
        "57P05",  # idle session timeout
        "25P03",  # idle in transaction timeout
        "58030",  # input/output error
    }
)
_TRANSIENT_CLASSES = ("08", "53")  # connection lost; out of connections, memory or disk

# asyncpg tells a lost connection from a misused one by the text of InterfaceError alone.
_LOST_CONNECTION = ("connection is closed", "pool is clos", "connection has been released")


def is_transient(error: BaseException) -> bool:
    """Say whether the same call may succeed later with nothing changed on our side.

    A unique violation isn't: whether a repeat helps is known only to whoever made the statement.
    """
    match error:
        case StoreUnavailable():
            return True
        case asyncpg.PostgresError():
            sqlstate = error.sqlstate or ""
            return sqlstate in _TRANSIENT_SQLSTATES or sqlstate.startswith(_TRANSIENT_CLASSES)
        case asyncpg.InterfaceError():
            return any(sign in str(error) for sign in _LOST_CONNECTION)
        case asyncpg.InternalClientError():
            # How it puts it when a connection is lost in the middle of ending a transaction.
            return str(error).startswith("cannot switch to state")
        case OSError():  # refused, reset, unreachable; TimeoutError is one of them
            return True
        case _:
            return False


def refusal(error: asyncpg.PostgresError) -> Refused | None:
    """Give the business refusal that the SQL raised, or None when it is another kind of error."""
    refused = SQLSTATES.get(error.sqlstate or "")
    return refused(str(error)) if refused else None
