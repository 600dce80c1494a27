"""The client of the queue: its timeouts, its errors, and what the log says of its outages.

The only module that decides how long a client of Redis (or Valkey) waits. Messages are wake-ups:
they may be lost, late or doubled without harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from workers.queue.messages import QueueConsumer
from workers.queue.probe import REFUSALS, reason_of, write_probe
from workers.queue.redis_clients import close_client, make_client
from workers.queue.trouble import QueueOutage, QueueTrouble
from workers.settings.queue_address import server_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dramatiq import Middleware

# A healthy server answers in under a millisecond; a frozen one must not hold up a stop.
SOCKET_TIMEOUT_S = 1.0
RETRIES = 1
# Messages past their age are kept this long, for a person who looks for the cause.
DEAD_MESSAGE_TTL_MS = 600_000


class QueueBroker(RedisBroker):
    """A broker that raises QueueTrouble for each trouble with its queue, and logs each once.

    Dramatiq tells a lost connection from a bug by the class of the error, and knows only one of the
    classes that a client raises.
    """

    troubles = (redis.RedisError,)
    refusals = REFUSALS
    reason_of = staticmethod(reason_of)

    def __init__(self, url: str, *, middleware: list[Middleware]) -> None:
        client = make_client(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],
            health_check_interval=30,
        )
        super().__init__(  # type: ignore[no-untyped-call]
            client=client, middleware=middleware, dead_message_ttl=DEAD_MESSAGE_TTL_MS
        )
        self.server = server_of(url)
        self._outage = QueueOutage(self.server)

    @property
    def consumer_class(self) -> type[QueueConsumer]:
        """The class that takes messages off a queue."""
        return QueueConsumer

    def waiting(self, queue_name: str) -> int:
        """Count the messages that no worker has fetched yet."""
        length = self.client.llen(f"{self.namespace}:{queue_name}")
        assert isinstance(length, int)  # noqa: S101 - a blocking client awaits nothing
        return length

    def write_refusal(self) -> str | None:
        """Write something, and return why that is refused, or None. Raises RedisError."""
        try:
            write_probe(self.client)
        except REFUSALS as error:
            return reason_of(error)
        return None

    def close(self) -> None:
        """Close the client's connections."""
        close_client(self.client)

    def _dispatch(self, command: str) -> Callable[..., Any]:
        run = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def dispatch(queue_name: str, *args: object) -> Any:
            try:
                answer = run(queue_name, *args)
            except redis.RedisError as error:
                self.note_trouble(error)
                raise QueueTrouble(reason_of(error)) from error
            self.note_back()
            return answer

        return dispatch

    def note_trouble(self, error: Exception) -> None:
        """Log once that the queue is unreachable or refuses, however often that is found out."""
        if isinstance(error, redis.exceptions.ReadOnlyError):
            # A failover may have left us with a replica: the next call connects anew, to the server
            # that has the name by then.
            self.client.connection_pool.disconnect(inuse_connections=False)
        self._outage.note_trouble(reason_of(error), refuses=isinstance(error, REFUSALS))

    def note_back(self, *, is_read_only: bool = False) -> None:
        """Note that a call succeeded; log that the queue is back if an outage is over by that.

        With `is_read_only` the call only read, which ends no refusal of writes.
        """
        self._outage.note_back(is_read_only=is_read_only)

    def note_dropped(self, reason: str) -> None:
        """Log that a message was dropped, once per reason."""
        self._outage.note_dropped(reason)
