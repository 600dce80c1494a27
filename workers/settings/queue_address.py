"""The queue's address, read as strictly as the database's: each part works or is refused by name.

redis-py takes a database that is no number for database 0, and passes every parameter on to the
connection, which fails at its first use. A message never holds a value of the address.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

_UNQUOTED = "isn't an address; in a password write / as %2F, # as %23, ? as %3F, [ as %5B, @ as %40"
_NUMBER = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PORTS = {"amqp": 5672, "amqps": 5671}
_FLAGS = ("true", "false", "True", "False", "1", "0", "yes", "no")


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _anything(value: str) -> bool:
    return bool(value)


# Each parameter that redis-py takes and that changes no timeout or retry of our own clients.
_ANYWHERE: Mapping[str, Callable[[str], bool]] = {
    "db": _is_number,
    "username": _anything,
    "password": _anything,
    "client_name": _anything,
    "protocol": _one_of("2", "3"),
    "socket_keepalive": _one_of(*_FLAGS),
    "sentinel": _anything,
    "sentinel_password": _anything,
}
_WITH_TLS: Mapping[str, Callable[[str], bool]] = {
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_ca_certs": _anything,
    "ssl_ca_path": _anything,
    "ssl_certfile": _anything,
    "ssl_keyfile": _anything,
    "ssl_password": _anything,
    "ssl_check_hostname": _one_of(*_FLAGS),
}
_EXPECTED = {
    "db": "a number",
    "protocol": "2 or 3",
    "ssl_cert_reqs": "none, optional or required",
    "socket_keepalive": "true or false",
    "ssl_check_hostname": "true or false",
}


def check_broker_address(value: str) -> str:
    """Return the address of either kind of queue. Raises ValueError, which never quotes it."""
    value = value.strip()
    if value.startswith(("amqp://", "amqps://")):
        return _check_rabbitmq(value)
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with amqp://, amqps://, redis://, rediss:// or unix://")
    return check_redis_address(value)


def _check_rabbitmq(value: str) -> str:
    if not value.isprintable() or " " in value or "#" in value:
        raise ValueError(_UNQUOTED)
    try:
        parts = urlsplit(value)
        port = parts.port
        told = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(_UNQUOTED) from None
    if "@" in parts.path + parts.query or parts.path.count("/") > 1:
        raise ValueError(_UNQUOTED)
    if port == 0 or not parts.hostname:
        raise ValueError("must name one host, and a port from 1 to 65535")
    for name, each in told:
        if name not in _WITH_TLS or name in {"ssl_cert_reqs", "ssl_ca_path"}:
            raise ValueError(
                f"{name[:63] if _NAME.fullmatch(name) else 'a parameter'} isn't supported"
            )
        _check_parameter("rediss" if parts.scheme == "amqps" else parts.scheme, name, each)
    if parts.scheme == "amqps":
        _check_files(dict(told))
    return value


def check_redis_address(value: str) -> str:
    """Return the address unchanged. Raises ValueError, which names what is wrong with it."""
    value = value.strip()
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    if not value.isprintable() or " " in value:
        raise ValueError("has a blank or a line break in it; write a blank as %20")
    parts = _split(value)
    # As in redis-py, the last @ counts.
    account, _, place = parts.netloc.rpartition("@")
    if parts.fragment or "#" in value or "@" in parts.path + parts.query or "[" in account:
        raise ValueError(_UNQUOTED)
    _check_path(parts.scheme, parts.path, place)
    _check_parameters(parts.scheme, parts.query)
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        hosts = parts.netloc.rpartition("@")[2].split(",")
        ports = [urlsplit(f"//{host}").port for host in hosts]
        by_sentinel = "sentinel" in dict(parse_qsl(parts.query))
    # From None: the original message quotes a part of the password.
    except ValueError:
        raise ValueError(_UNQUOTED) from None
    if len(hosts) > 1 and not by_sentinel:
        raise ValueError(
            "names several servers: Redis Cluster isn't supported, and Sentinels need the name of"
            " their server, ?sentinel=mymaster"
        )
    if by_sentinel and (parts.scheme == "unix" or not all(hosts)):
        raise ValueError("must name each Sentinel by host and port: redis://a:26379,b:26379/0?…")
    # redis-py takes 0 for no port, and would ask another server.
    if 0 in ports:
        raise ValueError("names a port that isn't a number from 1 to 65535")
    return parts


def server_of(url: str) -> str:
    """Return the server's name for an operator: its host and port, or its socket."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    place = parts.netloc.rpartition("@")[2]
    if (name := dict(parse_qsl(parts.query)).get("sentinel")) is not None:
        return f"{name} of {place}"
    host = parts.hostname or "localhost"
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 6379)}"


def _check_path(scheme: str, path: str, place: str) -> None:
    if scheme == "unix":
        if place or not path:
            raise ValueError("a socket's path has three slashes before it: unix:///run/redis.sock")
    elif path not in {"", "/"} and not _NUMBER.fullmatch(path.removeprefix("/")):
        raise ValueError("the database after the host must be a number, as in redis://host:6379/0")


def _check_parameters(scheme: str, query: str) -> None:
    try:
        told = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError(_UNQUOTED) from None
    for name, value in told:
        if not _NAME.fullmatch(name):
            raise ValueError(_UNQUOTED)
        _check_parameter(scheme, name, value)
    if scheme == "rediss":
        _check_files(dict(told))


def _check_parameter(scheme: str, name: str, value: str) -> None:
    if name in _WITH_TLS and scheme != "rediss":
        raise ValueError(f"{name} needs TLS: begin the address with rediss:// (amqps://)")
    is_fit = _ANYWHERE.get(name) or _WITH_TLS.get(name)
    if is_fit is None:
        raise ValueError(
            f"{name} isn't supported: remove it; TLS is asked for by rediss:// and ssl_ca_certs,"
            " timeouts are coinfleet's own"
        )
    if not is_fit(value):
        raise ValueError(f"{name} must be {_EXPECTED.get(name, 'set')}")


def _check_files(told: Mapping[str, str]) -> None:
    """Raise ValueError for a file that can't be used; for redis-py that would be an outage."""
    if "ssl_ca_certs" in told:
        with _naming("ssl_ca_certs"):
            ssl.create_default_context(cafile=told["ssl_ca_certs"])
    if "ssl_ca_path" in told and not Path(told["ssl_ca_path"]).is_dir():
        raise ValueError("ssl_ca_path names no folder")
    if "ssl_certfile" in told:
        password = told.get("ssl_password", "")
        with _naming("ssl_certfile or ssl_keyfile"):
            ssl.create_default_context().load_cert_chain(
                told["ssl_certfile"], told.get("ssl_keyfile"), lambda: password
            )
    elif "ssl_keyfile" in told:
        raise ValueError("ssl_keyfile needs ssl_certfile")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Raise ValueError with the parameter's name in place of a file's error."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise ValueError(f"{name} names a file that can't be used ({cause})") from None
