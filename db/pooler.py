"""Addresses at which a pooler answers: PgBouncer, or Supabase's Supavisor.

A transaction pooler may run each transaction in another session. So nothing is set when a session
starts (the roles carry their settings, see db/policies/sessions.sql) and no prepared statement has
a name. A session pooler gives a whole session, but refuses or drops what a client asks for while
it connects: settings are made by statements.
An address says so with `?pooler=transaction` or `?pooler=session`. Supabase's needn't: all of its
transaction poolers listen on port 6543, and its session poolers at *.pooler.supabase.com.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from db.errors import CoinfleetError

PARAMETER = "pooler"
_SUPABASE_TRANSACTION_PORT = 6543
_SUPABASE_POOLERS = ".pooler.supabase.com"


class Pooling(StrEnum):
    """What stands between us and the server."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class UnknownPooler(CoinfleetError):
    """An address names a pooler of a kind that there isn't."""

    def __init__(self) -> None:
        super().__init__(f"{PARAMETER} in an address is one of {', '.join(Pooling)}")


class SessionNeeded(CoinfleetError):
    """This needs a session of its own, and the address is a transaction pooler's."""

    def __init__(self) -> None:
        super().__init__(
            "this needs a session of its own, which a transaction pooler doesn't give:"
            " use the database's direct address (on Supabase port 5432)"
        )


class PoolerUndeclared(CoinfleetError):
    """A pooler answers at an address that doesn't say so."""

    def __init__(self) -> None:
        super().__init__(
            f"a pooler answers at this address: add ?{PARAMETER}={Pooling.TRANSACTION} to it, or"
            f" {Pooling.SESSION} if it gives whole sessions, so that it is spoken to as one"
        )


@dataclass(frozen=True, slots=True)
class Address:
    """A database's address, and who answers there."""

    url: str
    pooling: Pooling

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take our own parameter out of an address; the rest is for the driver.

        Raises UnknownPooler.
        """
        parts = urlsplit(url)
        parameters = parse_qsl(parts.query, keep_blank_values=True)
        told = [value for name, value in parameters if name == PARAMETER]
        rest = [each for each in parameters if each[0] != PARAMETER]
        try:
            pooling = Pooling(told[-1]) if told else None
        except ValueError as error:
            raise UnknownPooler from error
        return cls(
            parts._replace(query=urlencode(rest)).geturl(),
            pooling or _supabases(parts.hostname, parts.port),
        )


def _supabases(host: str | None, port: int | None) -> Pooling:
    if port == _SUPABASE_TRANSACTION_PORT:
        return Pooling.TRANSACTION
    return Pooling.SESSION if (host or "").endswith(_SUPABASE_POOLERS) else Pooling.NONE
