"""Missed events: reads what providers list of the past, and stores what no webhook has brought.

Owns the loop over pages and what it does if a provider fails. What a provider lists is in
tasks.providers; a page is stored in db/backfills.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from db.backfills import (
    PAYLOAD_BYTES_MAX,
    begin_backfill,
    fail_backfill,
    finish_backfill,
    read_known_orders,
    store_found,
)
from tasks.provider_calls import may_ask
from tasks.providers.calls import CallFailed, CallRefused, KeyRefused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from db.backfills import Backfill, PageCounts
    from db.connections.pool import Connection, Pool
    from tasks.context import Context
    from tasks.providers.history import History, Page
    from tasks.providers.provider import Provider

log = structlog.get_logger(__name__)

# Less than the cadence of the timetable: the next run goes on at the cursor.
RUN_S = 480.0
# From so long a failure on a person must look: 29 days are left with Stripe and Google.
ALARM_AFTER_S = 24 * 3_600.0


class StoredPage(NamedTuple):
    """What was counted of a page, the types in it, and up to which time all is stored.

    `too_large` are the ids of events that were left out, because no receiver would take them.
    """

    counts: PageCounts
    types: list[str]
    too_large: list[str]
    reaches: datetime


class TakenOver(Exception):
    """Another process reads this history now; what was stored stays."""


async def find_missed_events(ctx: Context) -> int:
    """Read each provider's history on from its watermark. Return how many events were found.

    A provider that fails is tried again by the next run, and harms no other. Raises what the
    database raises, after each provider has had its turn.
    """
    histories = [(each, each.history()) for each in ctx.providers.values()]
    done = await asyncio.gather(
        *(_catch_up(ctx, provider, history) for provider, history in histories if history),
        return_exceptions=True,
    )
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return sum(each for each in done if isinstance(each, int))


async def _catch_up(ctx: Context, provider: Provider, history: History) -> int:
    breaker = ctx.breakers[provider.name]
    if not await may_ask(ctx, provider):
        return 0
    backfill = await begin_backfill(
        ctx.pool,
        provider.name,
        worker=ctx.worker,
        overlap=history.overlap,
        keeps=history.keeps,
    )
    if backfill is None:
        return 0
    if backfill.lost_from is not None:
        log.error(
            "history_is_lost",
            provider=provider.name,
            from_at=backfill.lost_from.isoformat(),
            to_at=backfill.from_at.isoformat(),
            then="nobody lists these events any more: compare with the provider's reports",
        )
    found = 0
    ends_at = time.monotonic() + RUN_S
    try:
        async with aclosing(read_pages(ctx.pool, history, backfill)) as pages:
            async for page in pages:
                breaker.note_answer()
                _report(provider, page)
                found += page.counts.found
                if ctx.stopping.is_set() or time.monotonic() > ends_at:
                    break
    except TakenOver:
        pass
    except (CallFailed, CallRefused) as failure:
        if isinstance(failure, CallFailed):
            breaker.note_failure(failure)
        _report_failure(provider, failure, await note_failure(ctx.pool, backfill, failure))
    return found


async def read_pages(
    database: Pool | Connection, history: History, backfill: Backfill
) -> AsyncGenerator[StoredPage]:
    """Store one page after the other, yield what was counted, and end the pass after the last.

    Raises TakenOver, what the history raises (call `note_failure` then), and what the database
    raises. Cut anywhere, it goes on with the page that was not stored.
    """
    orders = partial(read_known_orders, database)
    reading = history.pages(
        backfill.from_at,
        backfill.to_at,
        backfill.cursor,
        orders=orders,
        all_orders=backfill.is_asked_for,
    )
    async with aclosing(reading) as pages:
        async for page in pages:
            yield await _store(database, backfill, page)
    if not await finish_backfill(database, backfill):
        raise TakenOver


async def _store(database: Pool | Connection, backfill: Backfill, page: Page) -> StoredPage:
    """Store a page, but for events that no receiver would take either."""
    events = [event for event in page.events if len(event.arrival.payload) <= PAYLOAD_BYTES_MAX]
    counts = await store_found(
        database,
        backfill,
        [event.arrival for event in events],
        [event.made_at for event in events],
        cursor=page.cursor,
        reaches=page.reaches,
    )
    if counts is None:
        raise TakenOver
    return StoredPage(
        counts,
        sorted({event.arrival.event_type for event in events}),
        [event.arrival.provider_event_id for event in page.events if event not in events],
        page.reaches,
    )


async def note_failure(
    database: Pool | Connection, backfill: Backfill, failure: CallFailed | CallRefused
) -> float | None:
    """Record why a history was not read on; return for how many seconds it has been failing."""
    return await fail_backfill(
        database,
        backfill,
        error=str(failure),
        # What it refuses at the cursor, it may answer from the beginning of the range.
        from_the_beginning=isinstance(failure, CallRefused),
    )


def _report(provider: Provider, page: StoredPage) -> None:
    found, missed, _ = page.counts
    for event_id in page.too_large:
        log.error("found_event_too_large", provider=provider.name, id=event_id)
    if missed:
        log.warning(
            "missed_events_found",
            provider=provider.name,
            found=found,
            missed=missed,
            among=page.types,
        )
    elif found:
        log.info("events_found", provider=provider.name, found=found)


def _report_failure(
    provider: Provider, failure: CallFailed | CallRefused, failing_s: float | None
) -> None:
    is_long = failing_s is not None and failing_s >= ALARM_AFTER_S
    needs_a_person = is_long or isinstance(failure, KeyRefused | CallRefused)
    log.log(
        logging.ERROR if needs_a_person else logging.WARNING,
        "history_not_read",
        provider=provider.name,
        error=str(failure),
        then="the next run goes on",
    )
