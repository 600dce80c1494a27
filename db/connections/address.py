"""A database's address, read strictly: libpq's URI, with one host or several.

Each parameter works or is refused by name; none is dropped silently. A message never holds a value
of the address: a password that wasn't quoted may stand anywhere in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from db.connections.parameters import (
    SERVERS_THAT_WRITE,
    SSL_MODES,
    SYSTEM_CERTIFICATES,
    UNQUOTED,
    AddressFault,
    Parameters,
    unquoted,
)
from db.connections.pooler import PARAMETER as POOLER
from db.connections.pooler import Pooling, supabase_pooling

# The parameters that are passed to the driver as they are.
TLS = frozenset(
    {
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"),
        *("sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
    }
)
# libpq's names for settings of the kernel: milliseconds, seconds, seconds, number of probes.
KEEPALIVES = ("tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count")

_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]*)(?::([0-9]*))?")
_PARTS = re.compile(
    r"(?:(?P<user>[^@/?#\[\]]*)@)?(?P<hosts>[^@/?#]*)"
    r"(?:/(?P<path>[^@?#]*))?(?:\?(?P<query>[^@#]*))?"
)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Host:
    """One server of an address: a name, an IP address or a folder of sockets.

    None is the driver's default, where the address names none.
    """

    name: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        if self.name is None:
            return "the default host"
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.name.startswith("/") else f"{name}:{self.port or 5432}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a database is, who logs in, and who answers there: a server or a pooler."""

    hosts: tuple[Host, ...] = (Host(),)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    pooling: Pooling = Pooling.NONE
    target_session_attrs: str | None = None
    tls: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: str | None = None
    application_name: str | None = None
    connect_timeout_s: float | None = None
    keeps_alive: bool = True
    keepalives: Mapping[str, int] = field(default_factory=dict)
    passfile: str | None = None
    kerberos: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address. Raises AddressFault, which names the parameter and holds no value."""
        scheme, _, rest = url.strip().partition("://")
        if scheme not in {"postgresql", "postgres"}:
            raise AddressFault("must start with postgresql://")
        parts = _PARTS.fullmatch(rest)
        if parts is None or _BROKEN_ESCAPE.search(rest):
            raise AddressFault(UNQUOTED)
        # libpq takes blanks in a parameter, as in options=-c name=value.
        if not rest.isprintable() or " " in rest.partition("?")[0]:
            raise AddressFault("has a blank or a line break in it; write a blank as %20")
        user, _, password = (parts["user"] or "").partition(":")
        told = Parameters(parts["query"] or "")
        hosts = _hosts(parts["hosts"], told)
        return cls(
            hosts=hosts,
            user=_once("user", unquoted(user), told.text("user")),
            password=_once("password", unquoted(password), told.text("password")),
            database=_once(
                "database", unquoted(parts["path"] or ""), told.text("dbname", "database")
            ),
            pooling=_pooling(hosts, told),
            target_session_attrs=told.one_of("target_session_attrs", SERVERS_THAT_WRITE),
            tls=_tls(told),
            options=told.text("options"),
            application_name=told.text("application_name"),
            # 0 means for ever in libpq; here it means the default.
            connect_timeout_s=told.number("connect_timeout") or None,
            keeps_alive=told.one_of("keepalives", ("0", "1")) != "0",
            keepalives={name: n for name in KEEPALIVES if (n := told.number(name))},
            passfile=told.text("passfile"),
            kerberos={n: v for n in ("krbsrvname", "gsslib") if (v := told.text(n)) is not None},
        ).without_rest(told)

    def without_rest(self, told: Parameters) -> Self:
        """Return the address itself. Raises AddressFault if a parameter is left over."""
        told.refuse_rest()
        return self

    def __str__(self) -> str:
        return ",".join(map(str, self.hosts))


def _once(what: str, written: str, told: str | None) -> str | None:
    """Return what the address names in its usual place or as a parameter."""
    if written and told:
        raise AddressFault(f"names its {what} twice: in its usual place and as a parameter")
    return written or told


def _hosts(written: str, told: Parameters) -> tuple[Host, ...]:
    """Read the hosts before the path, or those of libpq's parameters `host` and `port`."""
    elsewhere, ports = told.text("host"), told.text("port")
    if written and elsewhere:
        raise AddressFault("names its host twice: before the database and as a parameter")
    if written or elsewhere is None:
        hosts = tuple(_host(each) for each in written.split(",")) if written else (Host(),)
    else:
        hosts = tuple(Host(_host_name(each)) for each in elsewhere.split(","))
    if ports is None:
        return hosts
    if any(host.port for host in hosts):
        raise AddressFault("names its port twice: after the host and as a parameter")
    numbers = [_port(each) for each in ports.split(",")]
    if len(numbers) not in {1, len(hosts)}:
        raise AddressFault("port must name one port, or one for each host")
    numbers = numbers * len(hosts) if len(numbers) == 1 else numbers
    return tuple(Host(host.name, port) for host, port in zip(hosts, numbers, strict=True))


def _host(written: str) -> Host:
    matched = _HOST.fullmatch(written)
    if matched is None or not matched[1]:
        raise AddressFault(
            "names a host or port that can't be read: write host:port, several with commas"
        )
    return Host(_host_name(unquoted(matched[1])), _port(matched[2]) if matched[2] else None)


def _host_name(name: str) -> str:
    name = name.removeprefix("[").removesuffix("]")
    try:
        # The resolver does this first. Its error would be one of text, not of the network.
        name.encode("idna")
    except UnicodeError:
        if not name.startswith("/"):
            raise AddressFault("names a host that can't be a host name") from None
    if not name:
        raise AddressFault("names an empty host")
    return name


def _port(written: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", written) or not 1 <= int(written) <= 65_535:
        raise AddressFault("names a port that isn't a number from 1 to 65535")
    return int(written)


def _pooling(hosts: tuple[Host, ...], told: Parameters) -> Pooling:
    ours = told.one_of(POOLER, tuple(Pooling))
    # What Prisma and others write for a PgBouncer in transaction mode.
    theirs = told.one_of("pgbouncer", ("true", "false"))
    if ours is not None:
        return Pooling(ours)
    if theirs is not None:
        return Pooling.TRANSACTION if theirs == "true" else Pooling.NONE
    return supabase_pooling(hosts[0].name, hosts[0].port)


def _tls(told: Parameters) -> dict[str, str]:
    tls = {name: value for name in TLS - {"sslmode"} if (value := told.text(name)) is not None}
    mode = told.one_of("sslmode", SSL_MODES)
    if tls.get("sslrootcert") == SYSTEM_CERTIFICATES and mode not in {None, "verify-full"}:
        raise AddressFault("sslrootcert=system needs sslmode=verify-full")
    return tls | ({"sslmode": mode} if mode else {})
