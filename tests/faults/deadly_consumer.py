"""The worker process with one deadly event: reading it kills the process, as a crash in C would.

DEADLY_EVENT=evt_… python -m tests.faults.deadly_consumer
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.providers import PROVIDERS
from workers import consumer

if TYPE_CHECKING:
    from collections.abc import Collection

    from db.facts import Fact
    from db.inbox import ClaimedEvent


def poison(provider: str, deadly_event: str) -> None:
    """Make this event of the provider deadly."""
    door = PROVIDERS[provider]

    def interpret(event: ClaimedEvent, *, livemode: bool, accounts: Collection[str] = ()) -> Fact:
        if event.provider_event_id == deadly_event:
            os.kill(os.getpid(), signal.SIGKILL)
        return door.interpret(event, livemode=livemode, accounts=accounts)

    PROVIDERS[provider] = replace(door, interpret=interpret)


if __name__ == "__main__":
    poison("stripe", os.environ["DEADLY_EVENT"])
    consumer.main()
