"""`coinfleet backfill`: reads a provider's history, and stores the events that no webhook brought.

Asks the provider with the settings of `worker`, and writes as the schema's owner.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from db.connections.explanations import explained_errors
from db.connections.pool import open_pool
from db.health.status import read_clock
from db.release.generations import check_released
from tasks.providers.calls import AccountNotOurs, CallFailed
from tasks.providers.provider import Provider
from workers.cli.backfill.run import Run
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.terminal import make_console, print_lines
from workers.cli.words import counted
from workers.providers import build_providers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.providers.history import History
    from workers.cli.backfill.run import Findings

TIMEOUT_S = 30.0


def command(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="stripe, apple or google.")],
    *,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From when on: 2026-11-01, or with a time, in UTC.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many events are missing; store none.")
    ] = False,
) -> None:
    """Store the events of a provider that no webhook brought; a worker applies them.

    Safe at any time and as often as you like: an event that is there already changes nothing. If it
    is interrupted, the same command goes on from there. Exit 1 if --dry-run finds that some are
    missing.
    """
    since_at = _read_time(since)
    settings = load_operator_settings()
    asked, history = _history_of(provider, build_providers(settings))
    with one_line_errors():
        found = asyncio.run(
            _read(str(settings.database_url), asked, history, since_at, dry_run=dry_run)
        )
    print_lines(make_console(), _told(found, dry_run=dry_run))
    if dry_run and found.missing:
        raise typer.Exit(code=NEEDS_A_PERSON)


def _read_time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a date, as 2026-11-01", param_hint="'--since'") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _history_of(name: str, providers: dict[str, Provider]) -> tuple[Provider, History]:
    """Return the provider of this name and its history; end the command if there is none."""
    # Those that list past events at all, with or without the settings.
    listing = [each for each, made in providers.items() if type(made).history != Provider.history]
    if name not in listing:
        raise typer.BadParameter(f"must be one of {', '.join(listing)}", param_hint="'PROVIDER'")
    history = providers[name].history()
    if history is None:
        raise CommandFailed(
            f"coinfleet: {name} can't be asked: it lists no past events, or the settings of its API"
            " are missing here (those of `worker`)"
        )
    return providers[name], history


async def _read(
    url: str, provider: Provider, history: History, since: datetime, *, dry_run: bool
) -> Findings:
    with explained_errors():
        pool = await open_pool(
            url,
            application_name="coinfleet backfill",
            min_size=0,
            max_size=1,
            command_timeout_s=TIMEOUT_S,
        )
        try:
            await check_released(pool, url=url)
            now = await read_clock(pool)
            if since >= now:
                raise typer.BadParameter("must be in the past", param_hint="'--since'")
            await _check_account(provider)
            run = Run(pool, provider.name, history, console=make_console(), dry_run=dry_run)
            return await run.read(since, now)
        finally:
            await provider.close()
            pool.terminate()


async def _check_account(provider: Provider) -> None:
    """End the command if the key is not of our account, or if nobody says whose it is."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await provider.check_account()
    except (AccountNotOurs, CallFailed) as error:
        raise CommandFailed(f"coinfleet: nothing was asked of {provider.name}: {error}") from None
    except TimeoutError:
        raise CommandFailed(f"coinfleet: {provider.name} gives no answer in time") from None


def _told(found: Findings, *, dry_run: bool) -> Iterator[str]:
    """Yield what is said at the end."""
    total = counted(found.missing + found.seen, "event")
    yield f"read: {total}, {found.seen:,} of them here before"
    types = ", ".join(f"{name} {events:,}" for name, events in found.types.items())
    verb = "missing" if dry_run else "stored"
    yield f"{verb}: {counted(found.missing, 'event')}{f' ({types})' if types else ''}"
    for event_id in found.too_large:
        yield f"left out: {event_id} is larger than 256 KiB, which no receiver takes"
    if dry_run:
        yield "Nothing was stored."
