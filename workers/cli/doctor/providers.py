"""What is asked of providers, and of the addresses at which they and people reach us.

Knows no provider by name: each says itself what is to be looked at.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.findings import Finding, not_checked, ok
from tasks.providers import PROVIDERS
from tasks.providers.examination import probe_address
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
    probed = await asyncio.gather(*(probe_address(f"{origin}/webhooks/{name}") for name in names))
    found = [fault for fault in probed if fault is not None]
    return [*(found or [ok(f"`web` answers at {origin}")]), *await _certificate_of(origin)]


async def check_console_address(context: Context) -> list[Finding]:
    """Say whether the address by which people open the console leads to it."""
    origin = context.settings.console_origin
    if origin is None:
        return [not_checked("CONSOLE_ORIGIN is not set here", fix="run it where `console` runs")]
    fault = await probe_address(f"{origin}/healthz", expected=HTTPStatus.OK, whose="console")
    found = [fault] if fault else [ok(f"`console` answers at {origin}")]
    return [*found, *await _certificate_of(origin)]


async def _certificate_of(origin: str) -> list[Finding]:
    parts = urlsplit(origin)
    if parts.scheme != "https":
        return []
    host, port = parts.hostname or "", parts.port or 443
    return [await check_certificate(host, port, whose=origin)]
