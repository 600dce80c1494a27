"""The parameters of a database's address: each is taken by name, or refused by name.

A message never holds a value: a password that wasn't quoted may stand anywhere in an address.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from db.errors import DatabaseRefused

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Every process of ours writes, so no address may ask for a standby.
SERVERS_THAT_WRITE = ("any", "primary", "read-write")
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
SYSTEM_CERTIFICATES = "system"

UNQUOTED = (
    "isn't an address; in a user name or password write / as %2F, # as %23, ? as %3F, [ as %5B,"
    " @ as %40, % as %25"
)
# Parameters of libpq that the driver doesn't know, with the values that ask for nothing it lacks.
_HARMLESS = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "sslcertmode": ("allow",),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
}
_INSTEAD = {
    "channel_binding": "sslmode=verify-full proves the server in its place",
    "sslmode": f"it is one of {', '.join(SSL_MODES)}",
    "ssl": "write sslmode=require or sslmode=verify-full",
    "service": "write host, port, user and database into the address",
    "schema": "the schemas have fixed names",
    "connection_limit": "each process has a fixed number of connections",
    "target_session_attrs": f"it is one of {', '.join(SERVERS_THAT_WRITE)}: every process writes",
    "hostaddr": "write it as the host",
}
# Written by tools for other clients. They mean nothing to a server, and ask for nothing.
_FOR_OTHERS = frozenset({"supa", "fallback_application_name"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")


class AddressFault(DatabaseRefused):
    """A database's address can't be read, or asks for what isn't supported."""


class Parameters:
    """The parameters after the question mark, taken one by one; what is left over is refused."""

    def __init__(self, query: str) -> None:
        # As in libpq: each parameter has a value, and the last of several counts.
        fields = [each.partition("=") for each in query.split("&") if each]
        for name, equals, _ in fields:
            if not equals or not _NAME.fullmatch(name):
                raise AddressFault(UNQUOTED)
        # A plus sign is no blank here: libpq takes it as it is.
        self._values = {name: unquoted(value) for name, _, value in fields}

    def text(self, *names: str) -> str | None:
        """Take a parameter, by the first of these names; an empty one counts as absent."""
        values = [self._values.pop(name, None) for name in names]
        return next((value for value in values if value), None)

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """Take a parameter that has one of these values."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _unsupported(name, allowed=allowed)
        return value

    def number(self, name: str) -> int | None:
        """Take a parameter that is a number; one below 0 counts as 0, as in libpq."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise AddressFault(f"{name} must be a whole number")
        return max(int(value), 0)

    def refuse_rest(self) -> None:
        """Raise AddressFault for a parameter that was not taken and isn't harmless."""
        for name, value in self._values.items():
            if name in _FOR_OTHERS or value in _HARMLESS.get(name, ()):
                continue
            raise _unsupported(name, allowed=_HARMLESS.get(name, ()))


def _unsupported(name: str, *, allowed: tuple[str, ...]) -> AddressFault:
    """Return the fault that names a parameter, or its value if another value is allowed."""
    what = "this value of " if allowed else ""
    instead = _INSTEAD.get(name) or (
        f"it may be {' or '.join(allowed)}"
        if allowed
        else "remove it; a setting of the server is written options=-c%20name%3Dvalue"
    )
    return AddressFault(f"{what}{name} isn't supported: {instead}")


def unquoted(text: str) -> str:
    """Return the text with its %-escapes resolved; raise AddressFault if that gives no UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise AddressFault(UNQUOTED) from None
