"""A worker's runtime: opens what tasks need, has its work done, and closes in order.

Lives on one event loop. It trusts no message: each is a reason to look into PostgreSQL, which it
does once a second in any case. What it does by itself is a row of `_own_loops`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from db import ticks
from db.connections.pool import answered, open_pool
from db.inbox.claims import Inbox
from schedules.timetable import TIMETABLE
from tasks import MAKE_PROVIDER_CALLS, PROCESS_PAYMENT_EVENTS
from tasks.breaker import Breaker
from tasks.context import Context, Meter
from tasks.replay_trials import make_replay_trials
from workers.outage import Outage
from workers.processes import WORKER
from workers.providers import build_providers
from workers.running.attempts import Attempts
from workers.running.inbox_runner import InboxRunner
from workers.running.interruptions import BATCHES
from workers.running.loops import Loop, Loops
from workers.running.naming import WorkerName
from workers.running.reports import Reports
from workers.running.start_check import check_at_start
from workers.running.ticks import Ticks
from workers.signals import open_tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.ticks import Tick
    from workers.settings import Settings

# One slot does the work. Two of them wait for each other's profiles, and smaller batches cost more:
# with both an event took a seventh more. The second is for while a lock holds up the first.
SLOTS = len(BATCHES)
# Each slot takes two connections and each running tick one, plus what its task takes.
# The statements of calls to providers are short: two connections do for all of them.
# A trial of a replay takes one.
POOL_SIZE = 2 * SLOTS + 2 * len(TIMETABLE) + 5
LOOKS = "looks"
CALLS = "calls"
TRIALS = "trials"
# A person waits for it at a page that looks again as often.
TRIALS_EVERY_S = 1.0
LOOK_EVERY_S = 1.0
# A look takes a millisecond; a server that takes five seconds for it isn't there any more.
LOOK_TIMEOUT_S = 5.0
# How far apart looks get while the database is unreachable.
LOOK_PAUSE_MAX_S = 5.0
REPORT_EVERY_S = 2.0
REPORT_TIMEOUT_S = 5.0
# What runs when the process is asked to stop may take so long before it is rolled back.
GRACE_S = 5.0
# And so long to report what it counted, and that its last batches killed no worker.
LAST_REPORT_TIMEOUT_S = 1.0
CLOSE_TIMEOUT_S = 2.0


class Runtime:
    """What a worker process holds open and keeps doing.

    runtime = Runtime(settings)
    await runtime.open()      # looks and reports by itself from now on
    runtime.ring()            # a message asked for payment events
    await runtime.run_tick(Tick("leaderboard", 7))
    await runtime.stop()      # what runs may end within its grace
    await runtime.close()
    """

    def __init__(self, settings: Settings) -> None:
        self._name = WorkerName(
            settings.worker_name, database_url=settings.url_for(WORKER, warn=False)
        )
        self.worker = self._name.text
        self._settings = settings
        self._providers = build_providers(settings)
        self._breakers = {
            name: Breaker(_outage_of(name), throttled_max_s=provider.rests_at_most_s)
            for name, provider in self._providers.items()
        }
        self._stopping = asyncio.Event()
        self._meter = Meter()
        self._tracing = open_tracing(settings, WORKER)
        self._batches_seen = 0

    async def open(self) -> None:
        """Open the pool and begin to look for work.

        An unreachable database is waited for, while running. One that answers and refuses us raises
        its error, with nothing left open.
        """
        url = self._settings.url_for(WORKER)
        self._pool = await open_pool(
            url,
            application_name=WORKER.application_name,
            min_size=0,
            max_size=POOL_SIZE,
        )
        outage = Outage("database", then="it is tried again every few seconds")
        try:
            await check_at_start(self._pool, WORKER, url=url, outage=outage, work=LOOKS)
        except BaseException:
            self._pool.terminate()
            raise
        self._inbox = Inbox(self._pool, worker=self.worker)
        self._attempts = Attempts(self._pool, self._meter, outage)
        self._runner = InboxRunner([self._look_into_inbox(each) for each in BATCHES])
        # One per provider: a slow one, or a long list of messages to the app, holds up no other.
        self._callers = [
            InboxRunner([self._make_calls_of(name)])
            for name, provider in self._providers.items()
            if provider.calls()
        ]
        self._ticks = Ticks(self._attempts, self._context)
        self._reports = Reports(self._pool, worker=self.worker, meter=self._meter)
        self._loops = Loops(self._attempts)
        self._loops.start(self._own_loops())

    def ring(self) -> None:
        """Answer a doorbell: look for payment events, now or once more after the look that runs."""
        self._reports.note_doorbell()
        self._runner.ring(at_once=1)

    def ring_for_calls(self) -> None:
        """Look for calls to each provider, now or once more after the look that runs."""
        for caller in self._callers:
            caller.ring()

    async def run_tick(self, tick: Tick) -> None:
        """Answer a tick's message: do its job unless a worker has it already. Never raises."""
        self._reports.note_doorbell()
        if task := self._ticks.begin(tick):
            await asyncio.wait([task])

    async def stop(self) -> None:
        """Begin nothing more; let what runs end within its grace, then roll it back."""
        self._stopping.set()
        await asyncio.gather(
            self._loops.cancel(),
            self._runner.close(grace_s=GRACE_S),
            # A call that is cut is made again by another worker, after its lease.
            *(caller.close(grace_s=GRACE_S) for caller in self._callers),
            self._ticks.close(grace_s=GRACE_S),
            return_exceptions=True,
        )
        # What was counted since the newest report would be lost. If the database is unreachable the
        # notes stay, and the next worker takes this one for killed.
        forgetting = self._inbox.forget_failed_starts()
        await asyncio.gather(
            self._reports.write(within_s=LAST_REPORT_TIMEOUT_S),
            answered(self._pool, forgetting, within_s=LAST_REPORT_TIMEOUT_S),
            return_exceptions=True,
        )

    async def close(self) -> None:
        """Close the connections to providers and the pool, by force if it takes long."""
        self._name.release()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                closing = (provider.close() for provider in self._providers.values())
                await asyncio.gather(*closing, return_exceptions=True)
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def _own_loops(self) -> tuple[Loop, ...]:
        """Return what the worker does without being asked."""
        return (
            Loop(
                name=LOOKS,
                do=self._look,
                every_s=LOOK_EVERY_S,
                pause_max_s=LOOK_PAUSE_MAX_S,
            ),
            Loop(
                name=TRIALS,
                do=lambda: make_replay_trials(self._context()),
                every_s=TRIALS_EVERY_S,
                pause_max_s=LOOK_PAUSE_MAX_S,
            ),
            Loop(
                name="reports",
                do=lambda: self._reports.write(within_s=REPORT_TIMEOUT_S),
                every_s=REPORT_EVERY_S,
                pause_max_s=REPORT_EVERY_S,
                # The first answer to a message is reported at once, later ones with the rest.
                first=self._reports.has_answered,
            ),
        )

    def _context(self) -> Context:
        return Context(
            pool=self._pool,
            inbox=self._inbox,
            providers=self._providers,
            worker=self.worker,
            breakers=self._breakers,
            batch_size=self._settings.batch_size,
            stopping=self._stopping,
            meter=self._meter,
            observe_batch=self._tracing.batches_of(self._pool) if self._tracing else None,
        )

    def _look_into_inbox(self, work: str) -> Callable[[], Awaitable[object]]:
        """Return the work of one slot. Its context outlives each look, and with it the pace."""
        context = self._context()
        return lambda: self._attempts.make(PROCESS_PAYMENT_EVENTS.function(context), work)

    def _make_calls_of(self, provider: str) -> Callable[[], Awaitable[object]]:
        """Return the work of one provider's calls."""
        context = replace(self._context(), providers={provider: self._providers[provider]})
        work = f"{CALLS} {provider}"
        return lambda: self._attempts.make(MAKE_PROVIDER_CALLS.function(context), work)

    async def _look(self) -> None:
        """Begin the ticks that are due, a look into the inbox, and one into the outbox."""
        # The one statement that is always short notices a failover for all others.
        looking = ticks.find_due_ticks(self._pool)
        for tick in await answered(self._pool, looking, within_s=LOOK_TIMEOUT_S):
            self._ticks.begin(tick)
        is_held_up = self._meter.batches == self._batches_seen
        self._batches_seen = self._meter.batches
        self._runner.ring(at_once=SLOTS if is_held_up else 1)
        self.ring_for_calls()


def _outage_of(provider: str) -> Outage:
    then = "its calls wait; one is tried at least each minute"
    return Outage("provider", then=then, provider=provider)
