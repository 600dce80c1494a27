"""`coinfleet replay`: has events processed again. The options, and the way of its batches."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from db.connections.address import Address
from db.health.workers import read_workers
from db.operating.matching import STATES, Filter, Match, find_events
from db.operating.replaying import (
    BATCH_EVENTS,
    Request,
    read_endings,
    replay,
    try_replay,
)
from db.operating.sessions import owner_session
from tasks.payment_events import interpret_event
from workers.cli.endings import NEEDS_A_PERSON, CommandFailed, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.origin import origin
from workers.cli.progress import progress
from workers.cli.replay.report import Replay, as_json_text, show
from workers.cli.terminal import make_console, write
from workers.cli.times import read_time
from workers.cli.words import counted
from workers.providers import build_providers

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection
    from db.operating.replaying import Batch
    from workers.settings import Settings

# A failing event is tried five times within some 15 s; then it is dead.
WAIT_S = 60.0
_POLL_S = 0.5


def command(
    context: typer.Context,
    *,
    states: Annotated[
        list[str] | None,
        typer.Option("--state", help="Of this state; each option here may be repeated."),
    ] = None,
    reasons: Annotated[list[str] | None, typer.Option("--reason", help="Of this reason.")] = None,
    providers: Annotated[
        list[str] | None, typer.Option("--provider", help="Of this provider.")
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Of this type, as the provider calls it.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Received then or later, in UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Received before then, in UTC.")
    ] = None,
    error: Annotated[
        str | None, typer.Option("--error", help="Whose last error begins with this.")
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="This event: our number, or the provider's id."),
    ] = None,
    why: Annotated[
        str, typer.Option("--why", help="Why; kept for good. Needed unless --dry-run.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask on a terminal.")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Follow each batch for so many seconds.")
    ] = WAIT_S,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Have events processed again: those that meet all the options, 500 at a time.

    What was applied before is not applied twice; what was refused or held is judged by the
    balances, prices and rates of now. An event without its payload, or whose purchase a person has
    decided, is left and counted. Exit 1 if an event is held, dead or still pending at the end.
    """
    if context.invoked_subcommand is not None:
        return
    wanted = _read_filter(states, reasons, providers, types, since, until, error, ids)
    if not (dry_run or why.strip()):
        raise typer.BadParameter("say why; it is kept for good", param_hint="'--why'")
    settings = load_operator_settings()
    request = Request(typed_by=origin(), reason=why.strip() or "dry run", filter=_noted(wanted))
    run = _Run(settings, wanted, request, dry_run=dry_run, wait_s=wait_s, as_json=as_json)
    with one_line_errors():
        done = asyncio.run(run.run(must_ask=not (dry_run or yes) and sys.stdin.isatty()))
    if as_json:
        write(as_json_text(done))
    else:
        show(make_console(), done)
    raise typer.Exit(code=NEEDS_A_PERSON if done.needs_a_person else 0)


def _read_filter(  # noqa: PLR0917 -- the options, as typed
    states: Sequence[str] | None,
    reasons: Sequence[str] | None,
    providers: Sequence[str] | None,
    types: Sequence[str] | None,
    since: str | None,
    until: str | None,
    error: str | None,
    ids: Sequence[str] | None,
) -> Filter:
    if unknown := set(states or ()) - set(STATES):
        message = f"no state {', '.join(sorted(unknown))}: it is one of {', '.join(STATES)}"
        raise typer.BadParameter(message, param_hint="'--state'")
    if not (states or reasons or ids):
        raise typer.BadParameter("say which events: by --state, --reason or --id")
    numbers = [int(each) for each in ids or () if _is_number(each)]
    if any(number >= 2**63 for number in numbers):
        raise typer.BadParameter("an id is not so large", param_hint="'--id'")
    return Filter(
        states=states or None,
        reasons=reasons or None,
        providers=providers or None,
        types=types or None,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        error=error,
        ids=numbers if ids else None,
        names=[each for each in ids if not _is_number(each)] if ids else None,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _time(text: str | None, option: str) -> datetime | None:
    try:
        return None if text is None else read_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from error


def _noted(wanted: Filter) -> dict[str, object]:
    """Return the filter as it is kept: what was asked for, and nothing else."""
    asked: dict[str, object] = {
        name: getattr(wanted, name) for name in wanted.__dataclass_fields__ if getattr(wanted, name)
    }
    for name in ("since", "until"):
        if name in asked:
            asked[name] = str(asked[name])
    return asked


class _Run:
    """One call of the command: find, ask, then batch by batch."""

    def __init__(
        self,
        settings: Settings,
        wanted: Filter,
        request: Request,
        *,
        dry_run: bool,
        wait_s: float,
        as_json: bool,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._request = request
        self._wait_s = wait_s
        self._console = make_console()
        self._console.quiet = as_json
        self._done = Replay(dry_run=dry_run)

    async def run(self, *, must_ask: bool) -> Replay:
        url = str(self._settings.database_url)
        async with owner_session(url, command="replay") as connection:
            matches = await self._find(connection)
            self._done.matched = len(matches)
            for match in matches:
                if not match.has_payload:
                    self._done.skipped[match.event_id] = "no_payload"
            readable = [match for match in matches if match.has_payload]
            if not readable:
                return self._done
            if must_ask:
                _ask(len(readable), url)
            await self._replay(connection, readable)
        return self._done

    async def _find(self, connection: Connection) -> list[Match]:
        found: dict[int, Match] = {}
        with progress(self._console) as bars:
            bar = bars.add_task("looking", total=None)
            async for step in find_events(connection, self._wanted):
                found |= {match.event_id: match for match in step.found}
                bars.update(bar, completed=step.done, total=step.steps)
        return [found[event_id] for event_id in sorted(found)]

    async def _replay(self, connection: Connection, matches: list[Match]) -> None:
        batches = [matches[at : at + BATCH_EVENTS] for at in range(0, len(matches), BATCH_EVENTS)]
        self._done.batches = len(batches)
        if not self._done.dry_run:
            workers = await read_workers(connection)
            self._done.has_worker = any(worker.is_alive for worker in workers)
        with progress(self._console) as bars:
            bar = bars.add_task("trying" if self._done.dry_run else "replaying", total=len(matches))
            for no, batch in enumerate(batches):
                finished = await self._do(connection, batch)
                bars.advance(bar, len(batch))
                if not finished:
                    self._done.left = sum(len(each) for each in batches[no + 1 :])
                    return

    async def _do(self, connection: Connection, matches: list[Match]) -> bool:
        """Replay a batch, or try it; return whether the next one may follow."""
        if self._done.dry_run:
            providers = build_providers(self._settings)
            tried = await try_replay(
                connection,
                matches,
                self._request,
                lambda event: interpret_event(providers, event),
            )
            self._done.add(tried)
            return True
        batch = await replay(connection, matches, self._request)
        if self._done.has_worker:
            await self._follow(connection, batch)
        self._done.add(batch)
        return not self._done.has_worker or all(e.state != "pending" for e in batch.endings)

    async def _follow(self, connection: Connection, batch: Batch) -> None:
        """Wait until no event of the batch is pending, or until the time is over."""
        deadline = time.monotonic() + self._wait_s
        while batch.endings:
            batch.endings = await read_endings(connection, batch.endings)
            is_pending = any(each.state == "pending" for each in batch.endings)
            if not is_pending or time.monotonic() >= deadline:
                return
            await asyncio.sleep(_POLL_S)


def _ask(events: int, url: str) -> None:
    """Ask whether this is intended; end the command if it is not."""
    where = Address.parse(url)
    sys.stderr.write(
        f"Have {counted(events, 'event')} processed again, in the database {where.database} at"
        f" {where}? Type yes: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise CommandFailed("coinfleet: nothing was replayed", code=NEEDS_A_PERSON)
