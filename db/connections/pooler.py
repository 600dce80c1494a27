"""Addresses at which a pooler answers: PgBouncer, or Supabase's Supavisor.

A transaction pooler may run each transaction in another session. So nothing is set when a session
starts (the roles carry their settings, see db/policies/sessions.sql) and no prepared statement has
a name. A session pooler gives a whole session, but refuses or drops what a client asks for while
it connects: settings are made by statements.
An address says so with `?pooler=transaction` or `?pooler=session` (address.py beside this).
Supabase's needn't: all of its transaction poolers listen on port 6543, and its session poolers at
*.pooler.supabase.com.
"""

from __future__ import annotations

from enum import StrEnum

from db.errors import CoinfleetError

PARAMETER = "pooler"
_SUPABASE_TRANSACTION_PORT = 6543
_SUPABASE_POOLERS = ".pooler.supabase.com"


class Pooling(StrEnum):
    """What stands between us and the server."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


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


def supabase_pooling(host: str | None, port: int | None) -> Pooling:
    """Say what answers there by Supabase's own conventions; a server, where they don't hold."""
    if port == _SUPABASE_TRANSACTION_PORT:
        return Pooling.TRANSACTION
    return Pooling.SESSION if (host or "").endswith(_SUPABASE_POOLERS) else Pooling.NONE
