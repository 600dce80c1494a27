"""Addresses at which a pooler answers: PgBouncer, or Supabase's Supavisor.

A transaction pooler may run each transaction in another session. So nothing is set when a session
starts (the roles have their settings, see db/policies/sessions.sql) and no prepared statement has a
name. A session pooler gives a whole session, but refuses or drops the settings that a client asks
for while it connects: they are made by a statement afterwards.

An address says which it is with `?pooler=transaction` or `?pooler=session`. Supabase's addresses
needn't: all of its transaction poolers listen on port 6543, its session poolers at
*.pooler.supabase.com.
"""

from __future__ import annotations

from enum import StrEnum

from db.errors import CoinfleetError, DatabaseRefused

PARAMETER = "pooler"
_SUPABASE_TRANSACTION_PORT = 6543
_SUPABASE_POOLERS = ".pooler.supabase.com"


class Pooling(StrEnum):
    """Which kind of pooler is between us and the server, if any."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class SessionNeeded(CoinfleetError):
    """This needs a session of its own, and the address is a transaction pooler's."""

    def __init__(self) -> None:
        super().__init__(
            "This needs a session of its own, and a transaction pooler gives none:"
            " use the database's direct address (on Supabase port 5432)"
        )


class PoolerUndeclared(DatabaseRefused):
    """A pooler answers at an address that doesn't say so: a fault of configuration."""

    def __init__(self) -> None:
        super().__init__(
            f"A pooler answers at this address: add ?{PARAMETER}={Pooling.TRANSACTION} to it, or"
            f" ?{PARAMETER}={Pooling.SESSION} if it gives whole sessions"
        )


def supabase_pooling(host: str | None, port: int | None) -> Pooling:
    """Return the pooler that Supabase's host names and ports stand for; NONE for other hosts."""
    if port == _SUPABASE_TRANSACTION_PORT:
        return Pooling.TRANSACTION
    return Pooling.SESSION if (host or "").endswith(_SUPABASE_POOLERS) else Pooling.NONE
