"""The load generator: it sends requests that were made and signed before, on open connections.

It shares two cores with what it measures. So it does little per request: one write, one read and a
check of the status line, some ten microseconds, the same for both sides.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# So many that no server is ever idle, and that requests wait to be gathered into batches.
CONNECTIONS = 128
# Longer than any answer may take: after this the run has failed.
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of a load: how many answers of each status, in how many seconds."""

    statuses: Counter[int]
    seconds: float

    @property
    def acknowledged(self) -> int:
        """How many requests were answered 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)


async def deliver(
    port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS
) -> Delivered:
    """Send every request once. A connection sends its next one when the last is answered."""
    loop = asyncio.get_running_loop()
    queue, statuses = iter(requests), Counter[int]()
    senders = []
    for _ in range(min(connections, len(requests))):
        sender = _Sender(queue, statuses, loop.create_future())
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)  # type: ignore[misc]
        senders.append(sender)
    started = time.perf_counter()
    async with asyncio.timeout(DEADLINE_S):
        for sender in senders:
            sender.send()
        await asyncio.gather(*(sender.finished for sender in senders))
    return Delivered(statuses, time.perf_counter() - started)


class _Sender(asyncio.Protocol):
    """One connection with one request in flight; the answer sends the next."""

    def __init__(
        self, queue: Iterator[bytes], statuses: Counter[int], finished: asyncio.Future[None]
    ) -> None:
        self.finished = finished
        self._queue = queue
        self._statuses = statuses
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        request = next(self._queue, None)
        if request is None:
            self._transport.close()
            self.finished.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if (status := complete_status(self._received)) is not None:
            self._received = b""
            self._statuses[status] += 1
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(ConnectionError(f"the server hung up: {exc}"))


def complete_status(response: bytes) -> int | None:
    """Return a response's status once it is complete; without a length it has no body."""
    head, separator, body = response.partition(b"\r\n\r\n")
    if not separator:
        return None
    _, _, length = head.lower().partition(b"content-length:")
    if len(body) < int(length.partition(b"\r\n")[0] or 0):
        return None
    return int(head[9:12])
