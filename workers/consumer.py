"""worker: takes wake-ups off the queue and does the work, until asked to end.

    python -m workers.consumer

The stock command runs the same actors, but a process manager that signals a whole group sends it
two signals, and then it hangs. Here a second signal says nothing, and a deadline ends all waiting.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import structlog
from dramatiq import Worker
from dramatiq.middleware import MiddlewareError

from workers.logs import configure_logging
from workers.processes import WORKER
from workers.queue.broker import make_broker
from workers.settings import load_settings
from workers.termination import Termination

if TYPE_CHECKING:
    from workers.settings import Settings

# The longest pause between two looks into an idle queue; Dramatiq's own second means half a second
# of waiting for a lone event.
IDLE_MS = 100
# For messages in hand, once the runtime let its own work end.
STOP_TIMEOUT_MS = 2_000
# Whatever hangs, the process is gone before an impatient manager kills it (10 s is the custom).
DEADLINE_S = 9.0


def run(settings: Settings, termination: Termination) -> int:
    """Work until asked to end; give the exit code."""
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
    """Entry point of the process."""
    termination = Termination(deadline_s=DEADLINE_S)
    settings = load_settings(WORKER)
    configure_logging(settings.log_format)
    sys.exit(run(settings, termination))


if __name__ == "__main__":
    main()
