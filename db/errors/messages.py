"""What servers, poolers and the driver say only in the text of an error.

PostgreSQL has an SQLSTATE for each condition. Poolers have one code for all of theirs, and the
driver tells a lost connection from a misused one by its message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterable

# Supavisor gives the code of an internal error, XX000, to all it has to say, and puts a word of its
# own in front, such as (EMAXCONNSESSION). PgBouncer gives 08P01.
_POOLER = re.compile(r"\(E[A-Z_]+\)")
_UNKNOWN_TENANT = "Tenant or user not found"
NO_SESSION_LEFT = (
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
LOST_CONNECTION = ("connection is closed", "pool is clos", "connection has been released")
# What it says when a connection is lost while a transaction ends.
LOST_IN_TRANSACTION = "cannot switch to state"


def has_one_of(error: BaseException, signs: Iterable[str]) -> bool:
    """Return whether the error's message has one of these in it."""
    return any(sign in text_of(error) for sign in signs)


def text_of(error: BaseException) -> str:
    """Return the error's message. asyncpg's own classes have none unless a server sent it."""
    return str(error) if error.args else ""


def is_poolers(error: asyncpg.PostgresError) -> bool:
    """Return whether a pooler said it, or a server that ended the session with an internal error.

    That a pooler knows no such tenant is a wrong address, and no condition that passes.
    """
    message = text_of(error)
    return (
        isinstance(error, asyncpg.InternalServerError)
        and _UNKNOWN_TENANT not in message
        and (is_fatal(error) or _POOLER.search(message) is not None)
    )


def is_fatal(error: asyncpg.PostgresError) -> bool:
    """Return whether the session ended with it. Servers before 9.6 tell no severity in English."""
    severity: str | None = getattr(error, "severity_en", None) or error.severity
    return severity in _FATAL
