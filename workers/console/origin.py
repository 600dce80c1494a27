"""From where somebody acts: kept in the audit log beside who, what and why."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

    from workers.console.desk import Desk


def origin_of(desk: Desk, request: Request) -> str:
    """Return the address of the browser: console, 10.0.0.7.

    Behind a proxy (CONSOLE_ORIGIN is set) it is the last address in `X-Forwarded-For`, which the
    proxy adds; the ones before it are what a browser says.
    """
    client = request.client
    found = client.host if client else "unknown"
    if desk.settings.console_origin is not None:
        # A proxy may add a line of its own after the browser's.
        told = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        found = f"{told} by the proxy {found}" if _is_address(told) else f"the proxy {found}"
    return f"console, {found}"


def _is_address(text: str) -> bool:
    try:
        found = ip_address(text)
    except ValueError:
        return False
    # Behind a percent sign, an address of IPv6 may hold any text.
    return getattr(found, "scope_id", None) is None
