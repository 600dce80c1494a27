"""The textbook's worker (`python -m tests.bench.textbook.worker`): an actor per event."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import dramatiq
from dramatiq import Middleware, Worker
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, default_middleware

from db.connections.pool import open_pool
from tests.bench.textbook.money import process
from workers.processes import WORKER
from workers.providers import build_providers
from workers.settings import load_settings

if TYPE_CHECKING:
    from dramatiq import Actor, Broker

    from db.connections.pool import Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from workers.settings import Settings


class HasPool(Middleware):
    """Opens the pool on the loop that AsyncIO started."""

    pool: Pool

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        thread = get_event_loop_thread()
        assert thread is not None
        opening = open_pool(
            self._settings.url_for(WORKER),
            application_name="bench textbook worker",
            max_size=self._settings.worker_threads,
        )
        self.pool = thread.run_coroutine(opening)


def make_actor(settings: Settings) -> tuple[Broker, Actor[[int], None]]:
    """Make the broker with Dramatiq's own choice of middleware, and the one actor."""
    has_pool = HasPool(settings)
    broker = RedisBroker(  # type: ignore[no-untyped-call]
        url=settings.redis_url,
        middleware=[*(make() for make in default_middleware), AsyncIO(), has_pool],
    )

    providers = build_providers(settings)

    def interpret(event: ClaimedEvent) -> Fact:
        return providers[event.provider].interpret(event)

    async def process_event(event_id: int) -> None:
        await process(has_pool.pool, event_id, interpret)

    actor = dramatiq.actor(broker=broker, queue_name="textbook")(process_event)
    return broker, actor


def main() -> None:
    """Work until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    settings = load_settings(WORKER)
    broker, _ = make_actor(settings)
    worker = Worker(broker, worker_threads=settings.worker_threads)
    worker.start()
    signal.sigwait({signal.SIGTERM})
    worker.stop()


if __name__ == "__main__":
    main()
