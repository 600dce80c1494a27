"""Addresses at which a transaction pooler answers: PgBouncer, or Supabase's Supavisor.

Each transaction may run in another session there. So nothing is set when a session starts (the
roles carry their settings, see db/policies/sessions.sql) and no prepared statement has a name.
An address says so with `?pooler=transaction`; port 6543 says it too, for that is where all of
Supabase's transaction poolers listen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from db.errors import CoinfleetError

PARAMETER = "pooler"
TRANSACTION = "transaction"
SUPABASE_PORT = 6543


class SessionNeeded(CoinfleetError):
    """This needs a session of its own, and the address is a transaction pooler's."""

    def __init__(self) -> None:
        super().__init__(
            "this needs a session of its own, which a transaction pooler doesn't give:"
            " use the database's direct address (on Supabase port 5432)"
        )


class PoolerUndeclared(CoinfleetError):
    """A transaction pooler answers at an address that doesn't say so."""

    def __init__(self) -> None:
        super().__init__(
            "a transaction pooler answers at this address:"
            f" add ?{PARAMETER}={TRANSACTION} to it, so that it is spoken to as one"
        )


@dataclass(frozen=True, slots=True)
class Address:
    """A database's address, and whether it is a transaction pooler's."""

    url: str
    is_pooled: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take our own parameter out of an address; the rest is for the driver."""
        parts = urlsplit(url)
        parameters = parse_qsl(parts.query, keep_blank_values=True)
        told = [value for name, value in parameters if name == PARAMETER]
        rest = [each for each in parameters if each[0] != PARAMETER]
        is_pooled = told[-1] == TRANSACTION if told else parts.port == SUPABASE_PORT
        return cls(parts._replace(query=urlencode(rest)).geturl(), is_pooled=is_pooled)
