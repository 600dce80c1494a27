"""Why a host gave no connection, in words, and whether waiting will cure it.

Messages name host, port and cause; they hold no password and quote no value of an address.
"""

from __future__ import annotations

import os
import socket
import ssl
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from db.connections.address import Host
from db.connections.pooler import PoolerUndeclared
from db.errors import DatabaseRefused, DatabaseUnavailable, is_transient, server_message

# There is no such name, or it has no address. EAI_AGAIN says that no name server answered.
_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
# What poolers say only in words of a fault that no waiting cures. PgBouncer gives it the code of a
# lost connection, Supavisor that of a bug of its own.
_POOLERS_REFUSALS = (
    "no such user",
    "no such database",
    "authentication failed",
    "auth failed",
    # A server's own message, passed on.
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "not permitted to log in",
    "tenant or user not found",
    "(enotfound) tenant/user",
)


@dataclass(frozen=True, slots=True)
class HostFailure:
    """Why one host gave no connection."""

    host: Host
    cause: str
    error: Exception
    is_final: bool
    """Whether no waiting cures it: a wrong password, a name that doesn't exist."""

    @property
    def is_of_this_host(self) -> bool:
        """Whether another host may accept us: a file or a password is the same for all hosts."""
        if not self.is_final:
            return True
        # A removed machine's name is gone, and a machine's certificate is its own.
        return not _was_before_connecting(self.error) and isinstance(
            self.error, socket.gaierror | ssl.SSLError | ConnectionError
        )


def failure_of(
    error: Exception, host: Host, *, timeout_s: float, needs_tls: bool = False
) -> HostFailure | None:
    """Return why the driver's error kept us from this host; None if it is not about a connection.

    Raises PoolerUndeclared if the error is a pooler's, and the address names none.
    """
    if isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error):
        raise PoolerUndeclared from error
    # While a server of this machine is down, a connection to its port can meet another program, or
    # even itself: TCP lets two ends that open at once meet, and here both are ours.
    if _answered_nonsense(error) and not needs_tls:
        return HostFailure(host, "what answers there is no PostgreSQL", error, is_final=False)
    if cause := _final_cause(error):
        return HostFailure(host, cause, error, is_final=True)
    if isinstance(error, TimeoutError):
        cause = f"no answer within {timeout_s:g} s"
    elif isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        cause = "it takes no writes"
    elif is_transient(error) or isinstance(error, asyncpg.PostgresError):
        cause = _message(error)
    return HostFailure(host, cause, error, is_final=False) if cause else None


def error_of(failures: Sequence[HostFailure]) -> DatabaseUnavailable:
    """Return the one error to raise when no host of an address gave a connection.

    It is DatabaseRefused if no waiting cures any of the failures. Its cause is set.
    """
    told = "; ".join(f"at {failure.host}: {failure.cause}" for failure in failures)
    if all(failure.is_final for failure in failures):
        found: DatabaseUnavailable = DatabaseRefused(f"The database can't be used {told}")
    else:
        # `coinfleet status` knows a passing error of a job by these words.
        found = DatabaseUnavailable(f"The database can't be reached {told}")
    causes = [failure.error for failure in failures]
    # What a server says tells more than that another host is unreachable, or takes no writes.
    said = [error for error in causes if isinstance(error, asyncpg.PostgresError)]
    found.__cause__ = (said or causes)[-1]
    return found


def _final_cause(error: Exception) -> str | None:  # noqa: PLR0911 - a table, a line a case
    """Return the cause in words if no waiting cures it, else None."""
    match error:
        case socket.gaierror():
            return "there is no host of this name" if error.errno in _UNKNOWN_NAME else None
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted ({error.verify_message}); sslrootcert names the"
                " file of the CA, sslmode=verify-full needs the certificate's own host name"
            )
        case _ if _was_before_connecting(error):
            return _unusable(error)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError():
            return None
        case ssl.SSLError():
            return f"TLS failed ({error.reason})"
        case _ if _answered_nonsense(error):
            return (
                "no PostgreSQL answers there, or one that speaks no TLS while sslmode asks for it"
            )
        case asyncpg.PostgresError():
            is_refused = not is_transient(error) and error.sqlstate != "XX000"
            return str(error) if is_refused or _is_poolers_refusal(error) else None
        case asyncpg.ClientConfigurationError() | asyncpg.InterfaceError():
            return None if is_transient(error) else str(error)
        case _:
            return None


def _answered_nonsense(error: Exception) -> bool:
    """Return whether the first answer was not one that PostgreSQL gives to a request for TLS."""
    return isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error)


def _is_poolers_refusal(error: Exception) -> bool:
    told = str(error).lower()
    if not isinstance(error, asyncpg.ProtocolViolationError | asyncpg.InternalServerError):
        return False
    return any(each in told for each in _POOLERS_REFUSALS)


def _was_before_connecting(error: Exception) -> bool:
    """Return whether the driver was still reading parameters and files, before any socket."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name == "_parse_connect_arguments" for frame, _ in frames)


def _unusable(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return f"a certificate or key file can't be used ({error.reason or 'unreadable'})"
        case OSError():
            file = f"{error.filename}: " if error.filename else "a certificate or key file: "
            return (
                f"{file}{error.strerror or error}; give this user a HOME that it may read, name"
                " the file in the address (sslrootcert, sslcert, sslkey), or set sslmode=disable"
            )
        case asyncpg.ClientConfigurationError():
            return " ".join(str(error).split())
        # Any other error may quote a value.
        case _:
            return f"the address can't be used ({type(error).__name__})"


def _message(error: Exception) -> str:
    """Return an error's own message; for one of the system, without what Python adds to it."""
    match error:
        case asyncpg.PostgresError():
            return server_message(error) or ""
        case socket.gaierror():
            return f"its name can't be looked up just now ({error.strerror})"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return str(error) or type(error).__name__
