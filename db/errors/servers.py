"""What an error says of its server: whether it can be used, and whether it has sessions left."""

from __future__ import annotations

import asyncio

import asyncpg

from db.errors.base import DatabaseUnavailable, NoSessionFree, ReadOnlyServer
from db.errors.fates import is_transient
from db.errors.messages import NO_SESSION_LEFT, has_one_of, is_fatal, is_poolers


def is_server_unfit(error: BaseException | None) -> bool:
    """Return whether neither this session nor others to the same server can be used any more.

    It is lost, silent, read only, shutting down, or lacks this database or this role.
    expire_if_unfit (db/connections/pool.py) has the pool open its sessions anew.
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
                or is_fatal(error)
                or is_poolers(error)
            ) and not is_out_of_sessions(error)
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() | OSError():
            return is_transient(error)
        case asyncio.CancelledError():  # a deadline of ours: the server went silent
            return True
        case _:
            return False


def is_out_of_sessions(error: BaseException | None) -> bool:
    """Return whether the server, or a pooler before it, has no session left for us just now."""
    match error:
        case NoSessionFree():
            return True
        case DatabaseUnavailable():
            return is_out_of_sessions(error.__cause__)
        case asyncpg.TooManyConnectionsError():
            return True
        case asyncpg.InternalServerError() | asyncpg.ProtocolViolationError():
            return has_one_of(error, NO_SESSION_LEFT)
        case _:
            return False
