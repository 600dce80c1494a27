"""worker: the process that takes doorbells from the queue and works (`python -m workers.consumer`).

Dramatiq's own command runs the same actors, but hangs after two signals, and a manager that signals
a whole process group sends two. Here a second signal changes nothing, and stopping has a deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from dramatiq import Worker
from dramatiq.middleware import MiddlewareError

from workers.logs import configure_logging
from workers.processes import WORKER
from workers.queue.broker import make_broker
from workers.settings import load_settings
from workers.signals import start_signals
from workers.termination import Termination, end_process

if TYPE_CHECKING:
    from workers.settings import Settings

# The longest pause between two reads of an idle queue. With Dramatiq's default, 1 s, a lone event
# would wait half a second on average.
IDLE_MS = 100
# For messages in hand, after the runtime has finished its own work.
STOP_TIMEOUT_MS = 2_000
# The process ends within this time even if something hangs: managers kill it after 10 s by default.
DEADLINE_S = 9.0


def run(settings: Settings, termination: Termination) -> int:
    """Work until asked to stop; return the exit code."""
    log = structlog.get_logger(__name__)
    broker = make_broker(settings)
    worker = Worker(broker, worker_timeout=IDLE_MS, worker_threads=settings.worker_threads)
    broker.emit_after("process_boot")
    try:
        worker.start()
    except MiddlewareError as error:
        log.error("worker_not_started", reason=str(error))  # noqa: TRY400 - the line says it all
        return 1
    log.info("worker_started", threads=settings.worker_threads)
    termination.requested.wait()
    worker.stop(timeout=STOP_TIMEOUT_MS)
    broker.close()
    log.info("worker_stopped")
    return 0


def main() -> None:
    """Work until a signal stops the process."""
    termination = Termination(deadline_s=DEADLINE_S)
    settings = load_settings(WORKER)
    configure_logging(settings.log_format)
    start_signals(settings, WORKER)
    end_process(run(settings, termination))


if __name__ == "__main__":
    main()
