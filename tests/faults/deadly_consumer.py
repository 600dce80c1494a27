"""The worker process with one deadly event: reading it kills the process, as a crash in C would.

DEADLY_EVENT=evt_… python -m tests.faults.deadly_consumer
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tasks.providers.stripe import Stripe
from workers import consumer

if TYPE_CHECKING:
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent


def poison(deadly_event: str) -> None:
    """Make this event of Stripe kill the process that reads it."""
    read = Stripe.interpret

    def interpret(self: Stripe, event: ClaimedEvent) -> Fact:
        if event.provider_event_id == deadly_event:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, event)

    Stripe.interpret = interpret  # type: ignore[method-assign]


if __name__ == "__main__":
    poison(os.environ["DEADLY_EVENT"])
    consumer.main()
