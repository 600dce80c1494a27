"""What one session at an address shows: who is logged in, who answers, and what TLS proves.

For `coinfleet doctor`. It opens a session of its own, asks one question and drops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.connections.pool import open_connection

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who is logged in at an address; `is_role` and `is_owner` are None before a first release."""

    user: str
    is_superuser: bool
    may_create_roles: bool
    is_role: bool | None
    """Whether it has the rights of the role that was asked for."""
    is_owner: bool | None
    """Whether it has the rights of the schema's owner."""
    is_pooled: bool
    """Whether a pooler answers: it tells another process of the server than the server does."""
    uses_tls: bool
    certificate_ends_at: datetime | None
    """When the certificate of the server, or of the pooler, ends."""
    now: datetime


_WHO = """
    select
        current_user::text as user,
        r.rolsuper as is_superuser,
        r.rolcreaterole as may_create_roles,
        pg_has_role(current_user, o.oid, 'usage') as is_role,
        pg_has_role(current_user, n.nspowner, 'usage') as is_owner,
        pg_backend_pid() as pid,
        clock_timestamp() as now
    from pg_catalog.pg_roles as r
    left join pg_catalog.pg_roles as o on o.rolname = $1
    left join pg_catalog.pg_namespace as n on n.nspname = 'fleet'
    where r.rolname = current_user
"""


async def inspect(url: str, *, role: str, application_name: str, within_s: float) -> Login:
    """Log in once and return what is seen. Raises DatabaseUnavailable, DatabaseRefused among it."""
    connection = await open_connection(
        url, application_name=application_name, command_timeout_s=within_s
    )
    try:
        row = await connection.fetchrow(_WHO, role)
        assert row is not None  # noqa: S101 - each session has a role
        told = dict(row)
        uses_tls, ends_at = _tls_of(connection)
        is_pooled = told.pop("pid") != connection.get_server_pid()
    finally:
        connection.terminate()
    return Login(is_pooled=is_pooled, uses_tls=uses_tls, certificate_ends_at=ends_at, **told)


def _tls_of(connection: Connection) -> tuple[bool, datetime | None]:
    """Return whether the connection is by TLS, and when the certificate of its other end ends."""
    transport = connection._transport  # type: ignore[union-attr]  # noqa: SLF001 - the one way
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return False, None
    return True, end_of_certificate(tls.getpeercert(binary_form=True))


def end_of_certificate(certificate: bytes | None) -> datetime | None:
    """Return when a certificate (DER) ends; None if it can't be read."""
    # Here, because it takes long to import, and nothing else of this room needs it.
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_der_x509_certificate(certificate or b"").not_valid_after_utc
    except ValueError:
        return None
