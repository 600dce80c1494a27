"""One run of `coinfleet backfill`: page after page, with pauses where the provider asks for them.

Shows how far it is; its findings are told by command.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from db.backfills import begin_backfill, find_unseen, read_found_types, read_known_orders
from tasks.backfill import TakenOver, note_failure, read_pages
from tasks.providers.calls import CallFailed, CallRefused, KeyRefused
from workers.cli.endings import CommandFailed
from workers.cli.erase import account
from workers.cli.progress import progress
from workers.cli.terminal import print_lines
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import date, datetime

    from rich.console import Console

    from db.connections.pool import Pool
    from tasks.providers.history import History

# So often a page is asked for before the command ends; the pauses double from one second on.
TRIES = 5
PAUSE_MAX_S = 60.0
HOUR_S = 3_600


@dataclass(slots=True)
class Findings:
    """How many events were read that were there before, and which were missing, by type."""

    seen: int = 0
    missing: int = 0
    types: dict[str, int] = field(default_factory=dict)
    too_large: list[str] = field(default_factory=list)


class _Span(NamedTuple):
    since: datetime
    """As it was typed; the same question goes on where it was cut."""
    from_at: datetime
    """The same, or from when on the provider lists events."""
    until: datetime


@dataclass(slots=True)
class Run:
    """A run; with `dry_run` nothing is written, not even how far it came."""

    pool: Pool
    provider: str
    history: History
    console: Console = field(kw_only=True)
    dry_run: bool = field(kw_only=True)
    _found: Findings = field(default_factory=Findings)
    _cursor: str | None = None
    _said_of: date | None = None

    async def read(self, since: datetime, now: datetime) -> Findings:
        """Read from `since` to now.

        Raises CommandFailed if the provider can't be asked, or if somebody else takes it over.
        """
        oldest = now - self.history.keeps
        if since < oldest:
            days = self.history.keeps.days
            line = f"{self.provider} lists the last {days} days: what was before can't be found"
            print_lines(self.console, [line])
        print_lines(self.console, self.history.gaps)
        span = _Span(since, max(since, oldest), now)
        hours = int((span.until - span.from_at).total_seconds() / HOUR_S)
        tries = 0
        with progress(self.console) as bars:
            bar = bars.add_task("hours read", total=hours)
            while True:
                try:
                    async with aclosing(self._pages(span)) as pages:
                        async for reaches in pages:
                            tries = 0
                            done_s = (reaches - span.from_at).total_seconds()
                            bars.update(bar, completed=max(0, int(done_s / HOUR_S)))
                except TakenOver:
                    raise CommandFailed(
                        "coinfleet: another process reads the same history now"
                    ) from None
                except (CallFailed, CallRefused) as failure:
                    tries += 1
                    await self._rest(failure, tries)
                else:
                    return self._found

    def _pages(self, span: _Span) -> AsyncGenerator[datetime]:
        return self._look(span) if self.dry_run else self._store(span)

    async def _store(self, span: _Span) -> AsyncGenerator[datetime]:
        """Store each page; yield up to which time all is stored."""
        begun = await begin_backfill(
            self.pool,
            self.provider,
            worker=f"{account()}: coinfleet backfill",
            overlap=self.history.overlap,
            keeps=self.history.keeps,
            since=span.since,
        )
        if begun is None:
            raise TakenOver
        backfill = replace(begun, from_at=span.from_at)
        try:
            async with aclosing(read_pages(self.pool, self.history, backfill)) as pages:
                async for page in pages:
                    self._found.seen += page.counts.seen
                    self._found.missing += page.counts.found
                    self._found.too_large += page.too_large
                    self._say(page.reaches)
                    yield page.reaches
        except (CallFailed, CallRefused) as failure:
            await note_failure(self.pool, backfill, failure)
            raise
        # With what it found before it was cut, if it was.
        self._found.types = await read_found_types(self.pool, backfill)
        self._found.missing = sum(self._found.types.values())

    async def _look(self, span: _Span) -> AsyncGenerator[datetime]:
        """Look for each page's events in the inbox; yield up to which time all was looked for."""
        orders = partial(read_known_orders, self.pool)
        types = Counter(self._found.types)
        reading = self.history.pages(
            span.from_at, span.until, self._cursor, orders=orders, all_orders=True
        )
        async with aclosing(reading) as pages:
            async for page in pages:
                arrivals = {each.arrival.provider_event_id: each.arrival for each in page.events}
                unseen = await find_unseen(self.pool, self.provider, list(arrivals))
                types.update(arrivals[event_id].event_type for event_id in unseen)
                self._found.seen += len(arrivals) - len(unseen)
                self._found.missing += len(unseen)
                self._found.types = dict(types.most_common())
                self._cursor = page.cursor
                self._say(page.reaches)
                yield page.reaches

    def _say(self, reaches: datetime) -> None:
        """Say how far it is, once per day of history, where no bar is shown."""
        if not self.console.is_terminal and reaches.date() != self._said_of:
            self._said_of = reaches.date()
            missing = counted(self._found.missing, "event")
            line = f"read up to {reaches:%Y-%m-%d %H:%M} UTC: {missing} not here before"
            print_lines(self.console, [line])

    async def _rest(self, failure: CallFailed | CallRefused, tries: int) -> None:
        """Wait before the next try; end the command if there is none."""
        if isinstance(failure, KeyRefused | CallRefused) or tries >= TRIES:
            raise CommandFailed(
                f"coinfleet: {self.provider} can't be read on ({failure}): what was stored stays,"
                " and the same command goes on from there"
            ) from failure
        asked_s = failure.retry_after_s or 0.0
        await asyncio.sleep(min(max(asked_s, 2.0 ** (tries - 1)), PAUSE_MAX_S))
