"""Trouble with the queue: how a broker raises it, and what the log says of it.

The same for each kind of queue: said once when it begins, and once when it is over.
"""

from __future__ import annotations

import threading

import redis
import structlog

from workers.outage import Outage

log = structlog.get_logger(__name__)

# A queue of which only some connections work (a password set just now, too many clients) fails and
# succeeds by turns. An outage that begins so soon after the last is the same, and over once nothing
# has failed for CALM_S.
SAME_TROUBLE_S = 60.0
CALM_S = 10.0
# So many reasons for dropping a message are logged; more would fill the log.
DROPPED_REASONS_MAX = 20
THEN = "workers look each second"
# The two kinds of work that an outage stops. A queue that refuses writes may still be read.
READING = "reading"
WRITING = "writing"
REFUSES = "queue_refuses"


class QueueTrouble(redis.ConnectionError):
    """The queue is unreachable or refuses; the broker has logged it already.

    Dramatiq tells a lost connection from a bug by the class of the error.
    """


class QueueOutage:
    """What the log says of one broker's queue. Any thread may call."""

    def __init__(self, server: str) -> None:
        self._outage = Outage(
            "queue",
            server=server,
            then=THEN,
            calm_s=CALM_S,
            same_within_s=SAME_TROUBLE_S,
        )
        self._dropped: set[str] = set()
        # Each thread of a worker has a consumer.
        self._dropped_lock = threading.Lock()

    def note_trouble(self, reason: str, *, refuses: bool) -> None:
        """Log once that the queue is unreachable, or that it answers and `refuses`."""
        if refuses:
            self._outage.begin(WRITING, reason=reason, event=REFUSES)
        else:
            self._outage.begin(READING, reason=reason)

    def note_back(self, *, is_read_only: bool = False) -> None:
        """Note that a call succeeded; log that the queue is back if an outage is over by that.

        With `is_read_only` the call only read, which ends no refusal of writes.
        """
        if not (is_read_only and self._outage.stops(WRITING)):
            self._outage.end()

    def note_dropped(self, reason: str) -> None:
        """Log that a message was dropped, once per reason."""
        with self._dropped_lock:
            is_news = reason not in self._dropped and len(self._dropped) < DROPPED_REASONS_MAX
            if is_news:
                self._dropped.add(reason)
        if is_news:
            log.warning("message_dropped", reason=reason[:300], then=THEN)
