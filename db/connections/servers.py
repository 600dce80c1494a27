"""One connection to the first server of an address that will have it, and why there is none.

What doesn't cure by waiting (a file that can't be read, an unknown host, a wrong password) is
DatabaseRefused; everything else that keeps us out is DatabaseUnavailable. Both name host, port and
cause, and no password.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg

from db.connections.address import SYSTEM_CERTIFICATES, TLS_FILES, Address, Host
from db.connections.pooler import PoolerUndeclared
from db.errors import (
    CoinfleetError,
    DatabaseRefused,
    DatabaseUnavailable,
    is_transient,
    server_message,
)

UNREACHABLE = "The database can't be reached"
REFUSED, UNUSABLE = "the database", " can't be used"
CONNECT_TIMEOUT_S = 5.0
# Somebody may ask for more patience than that, but not for so much that a process seems to hang.
CONNECT_TIMEOUT_MAX_S = 60.0

# What takes longer to refuse us, or is given up later, counts as silent.
SILENT_FROM_S = 1.0
# Hosts that gave no answer when they were asked last, in this process. Whoever asks has less
# patience than a silent host takes: one that stood first would keep us from all others for ever.
_silent: set[Host] = set()

# There is no such name, or it has no address; EAI_AGAIN says that nobody could be asked.
_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
# What poolers say, in words alone, of what no waiting cures: PgBouncer gives it the code of a lost
# connection, Supavisor that of a bug of its own.
_POOLERS_REFUSALS = (
    "no such user",
    "no such database",
    "authentication failed",
    "auth failed",
    # A server's own words, handed on.
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "not permitted to log in",
    "tenant or user not found",
    "(enotfound) tenant/user",
)
ASKS_FOR_TLS = ("require", "verify-ca", "verify-full")
_OPTIONS = {
    "tcp_user_timeout": getattr(socket, "TCP_USER_TIMEOUT", None),
    "keepalives_idle": getattr(socket, "TCP_KEEPIDLE", None),
    "keepalives_interval": getattr(socket, "TCP_KEEPINTVL", None),
    "keepalives_count": getattr(socket, "TCP_KEEPCNT", None),
}


async def connect_to(
    address: Address, *, settings: Mapping[str, str], **options: Any
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to the first host that accepts us and is of the wanted kind.

    Each host has the whole timeout, so that one that is silent doesn't use up the others' time.
    One that was silent when it was asked last is asked last, until it answers.
    A host without a name, or without the TLS that is asked for, leaves it to the next one.
    Raises DatabaseRefused at once where another host would say the same, and when every host
    refuses; PoolerUndeclared; and DatabaseUnavailable when no host is left and one of them may come
    back.
    """
    timeout_s = min(address.connect_timeout_s or CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_MAX_S)
    failures = []
    for host in sorted(address.hosts, key=_was_silent):
        try:
            with _noting_silence(host):
                connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                    timeout=timeout_s,
                    server_settings=dict(settings),
                    **_driver_options(address, host),
                    **options,
                )
        except Exception as error:
            asks_for_tls = dict(address.tls).get("sslmode") in ASKS_FOR_TLS
            failure = _failure(error, host, timeout_s=timeout_s, asks_for_tls=asks_for_tls)
            if failure is None or failure is error:
                raise
            if not isinstance(failure, DatabaseUnavailable) or (
                isinstance(failure, DatabaseRefused)
                and (len(address.hosts) == 1 or not _is_of_one_host(error))
            ):
                raise failure from error
            failures.append((failure, error))
        else:
            _keep_alive(connection, address)
            return connection
    causes = [error for _, error in failures]
    if all(isinstance(failure, DatabaseRefused) for failure, _ in failures):
        raise DatabaseRefused("; ".join(str(failure) for failure, _ in failures)) from causes[-1]
    told = ";".join(
        str(failure).removeprefix(UNREACHABLE).removeprefix(REFUSED).replace(UNUSABLE, "", 1)
        for failure, _ in failures
    )
    # What a server says tells more than that another host is away, or writes nothing.
    said = [error for error in causes if isinstance(error, asyncpg.PostgresError)]
    raise DatabaseUnavailable(f"{UNREACHABLE}{told}") from (said or causes)[-1]


def _was_silent(host: Host) -> bool:
    return host in _silent


@contextmanager
def _noting_silence(host: Host) -> Iterator[None]:
    """Remember whether the host answered; that somebody gave it up counts as silence."""
    started = time.monotonic()
    try:
        yield
    except BaseException:
        # What a network that leads nowhere says comes late, and is no TimeoutError.
        if time.monotonic() - started >= SILENT_FROM_S:
            _silent.add(host)
        else:
            _silent.discard(host)
        raise
    _silent.discard(host)


def _driver_options(address: Address, host: Host) -> dict[str, Any]:
    tls = dict(address.tls)
    options: dict[str, Any] = {
        "host": host.name,
        "port": host.port,
        "user": address.user,
        "password": address.password,
        "database": address.database,
        # As text it would break the driver.
        "passfile": Path(address.passfile) if address.passfile else None,
        # Of several servers only one takes what we write.
        "target_session_attrs": address.target_session_attrs
        or ("read-write" if len(address.hosts) > 1 else None),
        **address.kerberos,
    }
    _check_files(tls, host)
    if tls.get("sslrootcert") == SYSTEM_CERTIFICATES:
        options["ssl"] = _system_tls(tls)
    elif tls:
        # The driver takes these in an address alone.
        options["dsn"] = f"postgresql://?{urlencode(tls)}"
    return options


def _system_tls(tls: Mapping[str, str]) -> ssl.SSLContext:
    """Trust whom the machine trusts, as libpq does with sslrootcert=system."""
    context = ssl.create_default_context()
    if "sslcert" in tls:
        password = tls.get("sslpassword", "")
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: password)
    return context


def _check_files(tls: Mapping[str, str], host: Host) -> None:
    """Raise DatabaseRefused for a named file that can't be used; the driver wouldn't say which."""
    for name in TLS_FILES if tls.get("sslmode") != "disable" else ():
        path = tls.get(name)
        if path is None or (name, path) == ("sslrootcert", SYSTEM_CERTIFICATES):
            continue
        try:
            _load(name, tls)
        except OSError as error:
            cause = getattr(error, "reason", None) or error.strerror or type(error).__name__
            raise DatabaseRefused(
                f"the database at {host} can't be used: {name} names {path}, which can't be used"
                f" ({cause})"
            ) from error


def _load(name: str, tls: Mapping[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    password = tls.get("sslpassword", "")
    match name:
        case "sslrootcert" | "sslcrl":
            context.load_verify_locations(tls[name])
        case "sslcert" if "sslkey" in tls:
            context.load_cert_chain(tls[name], tls["sslkey"], lambda: password)
        case _:
            Path(tls[name]).read_bytes()


def _keep_alive(connection: asyncpg.Connection[asyncpg.Record], address: Address) -> None:
    """Have the kernel watch the connection, as libpq does."""
    transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - the one way
    found = transport.get_extra_info("socket")
    if found is None or found.family == socket.AF_UNIX:
        return
    # A copy of the descriptor: uvloop's own object for it deprecates its options.
    with socket.socket(fileno=os.dup(found.fileno())) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(address.keeps_alive))
        for name, value in address.keepalives.items():
            if (option := _OPTIONS[name]) is not None:
                copy.setsockopt(socket.IPPROTO_TCP, option, value)


def _failure(
    error: Exception, host: Host, *, timeout_s: float, asks_for_tls: bool = False
) -> CoinfleetError | None:
    """Return what to raise in place of what the driver raised; None lets that go through."""
    if isinstance(error, CoinfleetError):
        return error
    if isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error):
        return PoolerUndeclared()
    # While a server of this machine is away, a connection to its port can meet somebody else, or
    # even itself: TCP lets two ends that open at once meet, and here both are ours.
    if _answered_nonsense(error) and not asks_for_tls:
        return DatabaseUnavailable(f"{UNREACHABLE} at {host}: what answers there is no PostgreSQL")
    if cause := _refusal(error):
        return DatabaseRefused(f"{REFUSED} at {host}{UNUSABLE}: {cause}")
    if isinstance(error, TimeoutError):
        cause = f"no answer within {timeout_s:g} s"
    elif isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        cause = "it takes no writes"
    elif is_transient(error) or isinstance(error, asyncpg.PostgresError):
        cause = _words(error)
    return DatabaseUnavailable(f"{UNREACHABLE} at {host}: {cause}") if cause else None


def _refusal(error: Exception) -> str | None:  # noqa: PLR0911 - a table, a line a case
    """Return in words what no waiting cures, or None."""
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


def _is_of_one_host(error: Exception) -> bool:
    """Whether a refusal says nothing about the other hosts: a removed machine's name is gone, a
    machine's certificate is its own. A file or a password is the same for all.
    """
    if _was_before_connecting(error):
        return False
    return isinstance(error, socket.gaierror | ssl.SSLError | ConnectionError)


def _answered_nonsense(error: Exception) -> bool:
    """Whether the first answer was neither a yes to TLS nor, where that will do, a no."""
    return isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error)


def _is_poolers_refusal(error: Exception) -> bool:
    told = str(error).lower()
    if not isinstance(error, asyncpg.ProtocolViolationError | asyncpg.InternalServerError):
        return False
    return any(each in told for each in _POOLERS_REFUSALS)


def _was_before_connecting(error: Exception) -> bool:
    """Whether the driver was still reading its parameters and files, and had opened no socket."""
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
        # Anything else may quote a value.
        case _:
            return f"the address can't be used ({type(error).__name__})"


def _words(error: Exception) -> str:
    """Return an error's own words; for the system's, what they say and nothing of Python."""
    return "; ".join(dict.fromkeys(_each_word(error)))


def _each_word(error: Exception) -> Iterator[str]:
    match error:
        case asyncpg.PostgresError():
            yield server_message(error) or ""
        case socket.gaierror():
            yield f"its name can't be looked up just now ({error.strerror})"
        case OSError(errno=int(number)):
            yield os.strerror(number)
        case _:
            yield str(error) or type(error).__name__
