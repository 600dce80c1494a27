"""What the connections of `web` may take together: descriptors, and memory for what they send.

Makes room at the cost of those who wait longest: a provider sends a request at once, so the oldest
connection without one, or with half of one, is the one to do without. Counts what it refuses, and
logs each cause once a minute at most.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

# Each costs about 10 KB before it sends anything; a provider opens a few dozen, a proxy hundreds.
CONNECTIONS_MAX = 2_000
# Of heads and bodies that are not yet answered. Bodies are 2 KB, so this is 30,000 of them; what
# waits for the database has a bound of its own, see workers/receiving/intake.py.
HELD_BYTES_MAX = 64 * 1024 * 1024
# Connections beyond the limit whose requests are answered with 503.
TOLD_MAX = 64
SAID_AGAIN_AFTER_S = 60.0


class Connection(Protocol):
    """What the limits ask of a connection."""

    held_bytes: int

    def make_room(self, cause: str) -> None:
        """Hang up; say why if there is somebody to say it to."""


class ConnectionLimits:
    """The limits of one process, kept by its connections.

    A connection is idle, or part of a request of its has arrived, or all of it and the answer is
    due. In the first two states it may be closed for a newer one.
    """

    def __init__(
        self,
        *,
        note_refused: Callable[[str], None],
        connections_max: int = CONNECTIONS_MAX,
        held_bytes_max: int = HELD_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections_max = connections_max
        self.held_bytes = 0
        self._held_bytes_max = held_bytes_max
        self._note_refused = note_refused
        self._clock = clock
        self._connections: set[Connection] = set()
        # Since when; in the order of that.
        self._idle: dict[Connection, float] = {}
        self._arriving: dict[Connection, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._said_at: dict[str, float] = {}

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    @property
    def is_over(self) -> bool:
        """Whether there are more connections with a request than are served."""
        return len(self._connections) - len(self._idle) > self.connections_max

    def opened(self, connection: Connection) -> None:
        """Count a new connection; if there are too many, close whoever keeps us waiting longest."""
        self._connections.add(connection)
        self._idle[connection] = self._clock()
        while len(self._connections) > self._room():
            slowest = self._slowest()
            self.closed(slowest)
            slowest.make_room("crowded")

    def closed(self, connection: Connection) -> None:
        """Count it no more."""
        self._connections.discard(connection)
        self._idle.pop(connection, None)
        self.release(connection)

    def begun(self, connection: Connection) -> None:
        """Note that a part of a request is there."""
        self._idle.pop(connection, None)
        if connection in self._connections:
            self._arriving.setdefault(connection, self._clock())

    def arrived(self, connection: Connection) -> None:
        """Note that a request is complete: it is answered, not refused."""
        self._arriving.pop(connection, None)

    def answered(self, connection: Connection) -> None:
        """Note that all its requests are answered, and nothing of them is held any more."""
        self.release(connection)
        if connection in self._connections:
            self._idle[connection] = self._clock()

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes of a request that is arriving; past the bound the oldest such is refused."""
        self.begun(connection)
        connection.held_bytes += size
        self.held_bytes += size
        while self.held_bytes > self._held_bytes_max and self._arriving:
            oldest = next(iter(self._arriving))
            self.release(oldest)
            oldest.make_room("too_many_bytes")

    def refuse_arriving(self, cause: str) -> None:
        """Refuse the requests of which a part has not arrived yet."""
        for connection in list(self._arriving):
            self.release(connection)
            connection.make_room(cause)

    def release(self, connection: Connection) -> None:
        """Count nothing of it as held."""
        self._arriving.pop(connection, None)
        self.held_bytes -= connection.held_bytes
        connection.held_bytes = 0

    def _room(self) -> int:
        # With an answer due on each connection, some more are let in to be told to come again.
        due = len(self._connections) - len(self._idle) - len(self._arriving)
        return self.connections_max + (TOLD_MAX if due >= self.connections_max else 0)

    def _slowest(self) -> Connection:
        longest_idle = next(iter(self._idle.items()))
        oldest_arriving = next(iter(self._arriving.items()), longest_idle)
        return min(longest_idle, oldest_arriving, key=lambda each: each[1])[0]

    def note_refused(self, cause: str) -> None:
        """Count what was refused; a line a minute says that it happens."""
        self._note_refused(cause)
        self._unsaid[cause] += 1
        now = self._clock()
        if now - self._said_at.get(cause, float("-inf")) >= SAID_AGAIN_AFTER_S:
            self._said_at[cause] = now
            log.warning(
                "requests_refused",
                cause=cause,
                since_last_said=self._unsaid.pop(cause),
                connections=self.connections,
                connections_max=self.connections_max,
            )
