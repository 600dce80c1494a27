"""TLS as an address asks for it: the driver's options, and the files that they name."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from db.connections.parameters import SYSTEM_CERTIFICATES, TLS_FILES
from db.errors import DatabaseRefused

if TYPE_CHECKING:
    from db.connections.address import Host

_VERIFYING = ("require", "verify-ca", "verify-full")


def asks_for_tls(tls: Mapping[str, str]) -> bool:
    """Return whether a connection without TLS must not be used."""
    return tls.get("sslmode") in _VERIFYING


def tls_options(tls: Mapping[str, str], host: Host) -> dict[str, Any]:
    """Return the driver's options. Raises DatabaseRefused for a file that can't be used."""
    _check_files(tls, host)
    if tls.get("sslrootcert") == SYSTEM_CERTIFICATES:
        return {"ssl": _system_tls(tls)}
    # The driver takes these only in an address.
    return {"dsn": f"postgresql://?{urlencode(tls)}"} if tls else {}


def _system_tls(tls: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that trusts the machine's CAs, as libpq does with sslrootcert=system."""
    context = ssl.create_default_context()
    if "sslcert" in tls:
        password = tls.get("sslpassword", "")
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: password)
    return context


def _check_files(tls: Mapping[str, str], host: Host) -> None:
    """Raise DatabaseRefused for a named file that can't be used; the driver doesn't say which."""
    for name in TLS_FILES if tls.get("sslmode") != "disable" else ():
        path = tls.get(name)
        if path is None or (name, path) == ("sslrootcert", SYSTEM_CERTIFICATES):
            continue
        try:
            _load(name, tls)
        except OSError as error:
            cause = getattr(error, "reason", None) or error.strerror or type(error).__name__
            raise DatabaseRefused(
                f"The database can't be used at {host}: {name} names {path}, which can't be"
                f" used ({cause})"
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
