"""What is asked of providers, and of the address at which they reach `web`.

Knows no provider by name: each says itself what is to be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.findings import Finding, not_checked, ok
from tasks.providers import PROVIDERS
from tasks.providers.examination import probe_webhook_address
from workers.cli.doctor.certificates import check_certificate
from workers.cli.doctor.examining import Check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.providers.examination import ProviderCheck
    from tasks.providers.provider import Provider
    from workers.cli.doctor.examining import Context


def provider_checks(providers: Iterable[Provider], *, web_origin: str | None) -> list[Check]:
    """Return the rows of these providers."""
    rows = [row for each in providers for row in each.checks(web_origin=web_origin)]
    return [_check(row) for row in rows]


def _check(row: ProviderCheck) -> Check:
    async def run(_context: Context) -> list[Finding]:
        return await row.ask()

    return Check(row.name, row.looks_at, run)


async def check_public_address(context: Context) -> list[Finding]:
    """Say whether the address that providers are told leads to `web`, path and all."""
    origin = context.settings.web_origin
    if origin is None:
        fix = "set WEB_ORIGIN to the address at which providers reach `web`"
        return [not_checked("WEB_ORIGIN is not set here", fix=fix)]
    names = context.settings.enabled or [PROVIDERS[0].name]
    found = [
        fault
        for name in names
        if (fault := await probe_webhook_address(f"{origin}/webhooks/{name}")) is not None
    ]
    found = found or [ok(f"`web` answers at {origin}")]
    parts = urlsplit(origin)
    if parts.scheme == "https":
        host, port = parts.hostname or "", parts.port or 443
        found.append(await check_certificate(host, port, whose=origin))
    return found
