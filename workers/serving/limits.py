"""What the connections of a process may use together: descriptors, and memory for what they send.

If there are too many, it closes the connection that has been idle, or has had half of a request,
for longest: a provider sends a request at once. Counts what it refuses, and logs each cause at most
once per minute. Reads and writes nothing itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import structlog

from workers.serving.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

# Each costs about 10 KB before it sends anything; a provider opens a few dozen, a proxy hundreds.
CONNECTIONS_MAX = 2_000
# For headers and bodies that are not answered yet. A body has 2 KB, so this is enough for 30,000.
# Arrivals that wait for the database have a bound of their own, in intake.py.
HELD_BYTES_MAX = 64 * 1024 * 1024
# Connections above the limit whose requests are answered with 503.
EXCESS_MAX = 64

# Why a request or a connection is refused before its signature is checked.
Refusal: TypeAlias = Literal[
    "badly_framed",
    "body_unasked",
    "crowded",
    "head_too_large",
    "reads_no_answer",
    "slow_head",
    "stopping",
    "too_many_bytes",
    "too_many_requests",
    "unreadable",
]


class Connection(Protocol):
    """What the limits use of a connection."""

    held_bytes: int

    def close_for_others(self, cause: Refusal) -> None:
        """Close, and answer 503 first if a request is waiting for an answer."""


class ConnectionLimits:
    """The limits of one process; its connections report to it.

    A connection is idle, or a part of a request has arrived, or the whole request has arrived and
    the answer is due. In the first two states it may be closed for a newer one.
    """

    def __init__(
        self,
        *,
        note_refused: Callable[[Refusal], None],
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
        # Each with the time since when; the oldest comes first.
        self._idle: dict[Connection, float] = {}
        self._arriving: dict[Connection, float] = {}
        self._repeats = Repeats(clock=clock)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def is_over(self) -> bool:
        """Whether more connections have a request than may be served."""
        return len(self._connections) - len(self._idle) > self.connections_max

    def opened(self, connection: Connection) -> None:
        """Count a new connection; if there are too many, close the one that is slowest."""
        self._connections.add(connection)
        self._idle[connection] = self._clock()
        while len(self._connections) > self._room():
            slowest = self._slowest()
            self.closed(slowest)
            slowest.close_for_others("crowded")

    def closed(self, connection: Connection) -> None:
        """Stop counting a connection."""
        self._connections.discard(connection)
        self._idle.pop(connection, None)
        self.release(connection)

    def begun(self, connection: Connection) -> None:
        """Note that a part of a request has arrived."""
        self._idle.pop(connection, None)
        if connection in self._connections:
            self._arriving.setdefault(connection, self._clock())

    def arrived(self, connection: Connection) -> None:
        """Note that a whole request has arrived: from now on it is answered, not refused."""
        self._arriving.pop(connection, None)

    def answered(self, connection: Connection) -> None:
        """Note that all requests of a connection are answered and use no memory any more."""
        self.release(connection)
        if connection in self._connections:
            self._idle[connection] = self._clock()

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes of a request that is arriving; above the bound refuse the oldest of these."""
        self.begun(connection)
        connection.held_bytes += size
        self.held_bytes += size
        while self.held_bytes > self._held_bytes_max and self._arriving:
            oldest = next(iter(self._arriving))
            self.release(oldest)
            oldest.close_for_others("too_many_bytes")

    def refuse_arriving(self, cause: Refusal) -> None:
        """Refuse each request of which a part has not arrived yet."""
        for connection in list(self._arriving):
            self.release(connection)
            connection.close_for_others(cause)

    def release(self, connection: Connection) -> None:
        """Count no more bytes for a connection."""
        self._arriving.pop(connection, None)
        self.held_bytes -= connection.held_bytes
        connection.held_bytes = 0

    def _room(self) -> int:
        # If an answer is due on each connection, some more are accepted, to be answered with 503.
        due = len(self._connections) - len(self._idle) - len(self._arriving)
        return self.connections_max + (EXCESS_MAX if due >= self.connections_max else 0)

    def _slowest(self) -> Connection:
        longest_idle = next(iter(self._idle.items()))
        oldest_arriving = next(iter(self._arriving.items()), longest_idle)
        return min(longest_idle, oldest_arriving, key=lambda each: each[1])[0]

    def note_refused(self, cause: Refusal) -> None:
        """Count a refusal; at most one log line per minute and cause says how many there were."""
        self._note_refused(cause)
        since_last_logged = self._repeats.note(cause)
        if since_last_logged is not None:
            log.warning(
                "requests_refused",
                cause=cause,
                since_last_logged=since_last_logged,
                connections=self.connections,
                connections_max=self.connections_max,
            )
