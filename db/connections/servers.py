"""One connection to the first server of an address that accepts it.

Which host is asked first, what TLS proves and what an error means is decided in the modules beside
this one. It sets nothing for a pooler or a session.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg

from db.connections.address import Address, Host
from db.connections.connection_errors import error_of, failure_of
from db.connections.host_order import HostOrder
from db.connections.tls import asks_for_tls, tls_options
from db.errors import CoinfleetError

CONNECT_TIMEOUT_S = 5.0
# An address may ask for a longer timeout, but not for one with which a process seems to hang.
CONNECT_TIMEOUT_MAX_S = 60.0
_KEEPALIVE_OPTIONS = {
    "tcp_user_timeout": getattr(socket, "TCP_USER_TIMEOUT", None),
    "keepalives_idle": getattr(socket, "TCP_KEEPIDLE", None),
    "keepalives_interval": getattr(socket, "TCP_KEEPINTVL", None),
    "keepalives_count": getattr(socket, "TCP_KEEPCNT", None),
}

# Shared by all pools of the process: what one of them found out, the others needn't wait for.
host_order = HostOrder()


async def connect_to(
    address: Address, *, settings: Mapping[str, str], **options: Any
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to the first host that accepts us and is of the wanted kind.

    Each host has the whole timeout, so that a silent one doesn't use up the time of the others. A
    host without a name, or without the TLS that is asked for, is passed over.

    Raises DatabaseRefused at once where another host would say the same, and when every host
    refuses; PoolerUndeclared; and DatabaseUnavailable when no host is left and one of them may come
    back.
    """
    timeout_s = min(address.connect_timeout_s or CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_MAX_S)
    failures = []
    for host in host_order.sort(address.hosts):
        try:
            with host_order.noting_silence(host):
                connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                    timeout=timeout_s,
                    server_settings=dict(settings),
                    **_driver_options(address, host),
                    **options,
                )
        except CoinfleetError:
            raise
        except Exception as error:
            needs_tls = asks_for_tls(address.tls)
            failure = failure_of(error, host, timeout_s=timeout_s, needs_tls=needs_tls)
            if failure is None:
                raise
            if not failure.is_of_this_host:
                raise error_of([failure]) from error
            failures.append(failure)
        else:
            _keep_alive(connection, address)
            return connection
    unavailable = error_of(failures)
    raise unavailable from unavailable.__cause__


def _driver_options(address: Address, host: Host) -> dict[str, Any]:
    return {
        "host": host.name,
        "port": host.port,
        "user": address.user,
        "password": address.password,
        "database": address.database,
        # The driver fails with one that is text.
        "passfile": Path(address.passfile) if address.passfile else None,
        # Of several servers only one takes what we write.
        "target_session_attrs": address.target_session_attrs
        or ("read-write" if len(address.hosts) > 1 else None),
        **address.kerberos,
        **tls_options(address.tls, host),
    }


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
            if (option := _KEEPALIVE_OPTIONS[name]) is not None:
                copy.setsockopt(socket.IPPROTO_TCP, option, value)
