"""The Dramatiq broker: its middleware, named one by one, and the actors made of TASKS.

Importing this does nothing: `dramatiq workers.queue.broker:set_up` and workers.consumer call what
they need. There is no Retries and no Results: state, attempts and backoff are in PostgreSQL, and a
message only wakes a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import dramatiq
from dramatiq.asyncio import get_event_loop_thread, set_event_loop_thread
from dramatiq.middleware import (
    AgeLimit,
    AsyncIO,
    Middleware,
    MiddlewareError,
    ShutdownNotifications,
    TimeLimit,
)

from db.ticks import Tick
from tasks import MAKE_PROVIDER_CALLS, PROCESS_PAYMENT_EVENTS, TASKS
from workers.logs import configure_logging
from workers.processes import WORKER
from workers.queue.opening import open_broker
from workers.running.runtime import Runtime
from workers.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dramatiq import Broker, Worker

    from tasks.task import Task
    from workers.queue.client import QueueBroker
    from workers.queue.rabbitmq import RabbitQueueBroker
    from workers.settings import Settings

R = TypeVar("R")

# The number of a tick is a bigint.
TICK_MAX = 2**63
# The runtime ends a job at its own limit and records that; this one is for a loop that is stuck.
LIMIT_MARGIN_MS = 10_000


class RunsRuntime(Middleware):
    """Opens the runtime on the loop that AsyncIO started, and closes it before that ends.

    Must come after AsyncIO in the list. Hooks before a boot run in the order of the list, and hooks
    after a boot in reverse.
    """

    def __init__(self, settings: Settings) -> None:
        self.runtime: Runtime
        self._settings = settings

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Open the runtime. After any error but MiddlewareError the worker would run without it."""
        try:
            self.runtime = _on_loop(self._open())
        except BaseException as error:
            # The loop's thread is no daemon: while it runs, the process can't end.
            if thread := get_event_loop_thread():
                thread.stop()  # type: ignore[no-untyped-call]
                set_event_loop_thread(None)
            raise MiddlewareError(f"{type(error).__name__}: {error}") from error

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Let what runs end, while messages can still be acknowledged."""
        _on_loop(self.runtime.stop())

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Close the runtime."""
        _on_loop(self.runtime.close())

    async def _open(self) -> Runtime:
        runtime = Runtime(self._settings)
        await runtime.open()
        return runtime


def make_broker(settings: Settings) -> QueueBroker | RabbitQueueBroker:
    """Return a broker with every task as an actor; it connects to nothing yet."""
    assert settings.queue_url is not None  # noqa: S101 - load_settings asks for it
    runs = RunsRuntime(settings)
    broker = open_broker(
        settings.queue_url,
        middleware=[
            AgeLimit(),
            TimeLimit(),
            ShutdownNotifications(),
            AsyncIO(),
            runs,
        ],
    )
    # Its runtime is made only when the worker boots.
    _declare_doorbell(broker, PROCESS_PAYMENT_EVENTS, lambda: runs.runtime.ring())  # noqa: PLW0108
    _declare_doorbell(broker, MAKE_PROVIDER_CALLS, lambda: runs.runtime.ring_for_calls())  # noqa: PLW0108
    _declare_ticks(broker, runs)
    return broker


def set_up() -> None:
    """Make the broker that the stock command runs, from the environment's settings."""
    settings = load_settings(WORKER)
    configure_logging(settings.log_format)
    dramatiq.set_broker(make_broker(settings))


def _declare_doorbell(broker: Broker, task: Task, ring: Callable[[], None]) -> None:
    # Returns at once: the look runs on the loop, and no thread waits for its end. The message of a
    # newer release may have arguments.
    async def answer(*_: object, **__: object) -> None:
        ring()

    dramatiq.actor(
        actor_name=task.name,
        queue_name=task.queue,
        broker=broker,
        max_age=task.max_age_ms,
        time_limit=LIMIT_MARGIN_MS,
    )(answer)


def _declare_ticks(broker: Broker, runs: RunsRuntime) -> None:
    # A message that names no tick is ignored: workers find each due tick by looking.
    async def run_tick(*args: object, **_: object) -> None:
        match args:
            case [str(job), int(number), *_] if abs(number) < TICK_MAX:
                await runs.runtime.run_tick(Tick(job, number))

    for task in TASKS:
        if task in (PROCESS_PAYMENT_EVENTS, MAKE_PROVIDER_CALLS):
            continue
        dramatiq.actor(
            actor_name=task.name,
            queue_name=task.queue,
            broker=broker,
            max_age=task.max_age_ms,
            time_limit=task.time_limit_ms + LIMIT_MARGIN_MS,
        )(run_tick)


def _on_loop(work: Coroutine[Any, Any, R]) -> R:
    thread = get_event_loop_thread()
    assert thread is not None  # noqa: S101 - AsyncIO stands earlier in the list
    return thread.run_coroutine(work)
