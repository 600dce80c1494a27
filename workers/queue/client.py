"""The queue as this fleet uses it: wake-ups that may be lost, late or doubled without harm.

The one place that knows how patient a client of Redis (or Valkey) may be.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import redis
import redis.asyncio
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from workers.outage import Outage
from workers.queue.address import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dramatiq import MessageProxy, Middleware

    from tasks.task import Task

log = structlog.get_logger(__name__)

QueueState: TypeAlias = Literal["reachable", "refuses_writes", "unreachable"]

# A healthy server answers in under a millisecond; a frozen one must not hold up a shutdown.
SOCKET_TIMEOUT_S = 1.0
RETRIES = 1
# Messages past their age are kept this long for whoever looks into what happened.
DEAD_MESSAGE_TTL_MS = 600_000
# Each waiting message makes a worker look: more of them would say nothing new.
WAITING_MESSAGES_MAX = 4
# How soon a worker asks again for a queue that is away; it looks into the database meanwhile.
AWAY_PAUSE_S = 1.0
# A queue of which only some connections work (a password set just now, too many clients) fails and
# succeeds by turns. What comes back so soon is the same trouble, and over once all is calm.
SAME_TROUBLE_S = 60.0
CALM_S = 10.0
# Of messages that nobody here understands so many are told; the rest would fill the log.
STRANGE_MAX = 20
# The two kinds of work of which the queue's outages tell. One that refuses to be written may still
# be read.
READING = "reading"
WRITING = "writing"
REFUSES = "queue_refuses"


# Whether the queue takes writes is asked by writing this; it is gone soon after.
PROBE_KEY = "dramatiq:probe"
PROBE_TTL_MS = 60_000
# It answers, and does not do what it is asked: no memory left, a failed save, a replica, a password
# or a right that is missing. Waiting alone doesn't cure it.
REFUSALS = (redis.ResponseError, redis.AuthenticationError, redis.exceptions.AuthorizationError)


# Where in a script of Dramatiq's it was met.
_IN_SCRIPT = re.compile(r"\.? script: (\w+, )?on @\S+$")


def reason_of(error: Exception) -> str:
    """Return why the queue can't be used, in words for whoever runs it."""
    text = str(error)
    if text.startswith("HELLO must be called with the client already authenticated"):
        return "it asks for a password, and the address has none (NOAUTH)"
    return _IN_SCRIPT.sub("", text).rstrip(".")


class QueueTrouble(redis.ConnectionError):
    """The queue is unreachable or refuses; the broker has told so already."""


class QueueBroker(RedisBroker):
    """A broker whose troubles all look alike, and that is calm about unacked messages.

    Dramatiq tells a lost connection from a bug by its class, and knows one of those that a client
    raises. An acknowledgement that fails it repeats for ever, once in 5 s, with the thread.
    """

    def __init__(self, url: str, *, middleware: list[Middleware]) -> None:
        client = redis.Redis.from_url(
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
        self._outage = Outage(
            "queue",
            server=self.server,
            then="workers look each second",
            calm_s=CALM_S,
            same_within_s=SAME_TROUBLE_S,
        )
        self._strange: set[str] = set()
        # Each thread of a worker meets the queue by itself.
        self._telling = threading.Lock()

    @property
    def consumer_class(self) -> type[_CalmConsumer]:
        """What takes messages off a queue here."""
        return _CalmConsumer

    def waiting(self, queue_name: str) -> int:
        """Count the messages that no worker has fetched yet."""
        length = self.client.llen(f"{self.namespace}:{queue_name}")
        assert isinstance(length, int)  # noqa: S101 - a blocking client awaits nothing
        return length

    def write_refusal(self) -> str | None:
        """Write something, and return why that is refused, or None. Raises RedisError."""
        try:
            self.client.set(PROBE_KEY, "", px=PROBE_TTL_MS)
        except REFUSALS as error:
            return reason_of(error)
        return None

    def close(self) -> None:
        """Close the client's connections."""
        self.client.close()

    def _dispatch(self, command: str) -> Callable[..., Any]:
        run = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def dispatch(queue_name: str, *args: object) -> Any:
            try:
                answer = run(queue_name, *args)
            except redis.RedisError as error:
                self.note_trouble(error)
                raise QueueTrouble(str(error)) from error
            self.note_back()
            return answer

        return dispatch

    def note_trouble(self, error: Exception) -> None:
        """Say once that the queue is unreachable or refuses, however often that is met."""
        if isinstance(error, redis.exceptions.ReadOnlyError):
            # A failover may have left us with a replica: whoever has the name now is asked next.
            self.client.connection_pool.disconnect(inuse_connections=False)
        if isinstance(error, REFUSALS):
            self._outage.begin(WRITING, reason=reason_of(error), event=REFUSES)
        else:
            self._outage.begin(READING, reason=reason_of(error))

    def note_strange(self, reason: str) -> None:
        """Say once for each reason that a message was dropped."""
        with self._telling:
            is_news = reason not in self._strange and len(self._strange) < STRANGE_MAX
            if is_news:
                self._strange.add(reason)
        if is_news:
            log.warning("message_dropped", reason=reason[:300], then="workers look each second")

    def note_back(self, *, is_read_only: bool = False) -> None:
        """Say that the queue is back, if there was trouble with it that is over.

        With `is_read_only` it was read: one that refuses to be written may be read still.
        """
        if not (is_read_only and self._outage.stops(WRITING)):
            self._outage.end()


class _CalmConsumer(_RedisConsumer):
    """Waits for a queue that is away, where Dramatiq's own would call that critical, and gives up
    what it can't acknowledge: the message comes again, and finds nothing to do.

    A message of another release, or of no fleet at all, is dropped: workers look by themselves.
    """

    broker: QueueBroker

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except ConnectionClosed:
            time.sleep(AWAY_PAUSE_S)
            return None
        # Whatever somebody put there; it was taken off the queue, and is not asked for again.
        except Exception as error:  # noqa: BLE001
            self.broker.note_strange(type(error).__name__)
            return None
        if message is not None and message.actor_name not in self.broker.actors:
            self.broker.note_strange(f"no task of this release is named {message.actor_name!r}")
            self.nack(message)
            return None
        return message

    def ack(self, message: MessageProxy) -> None:
        self._try(super().ack, message)

    def nack(self, message: MessageProxy) -> None:
        self._try(super().nack, message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._try(super().requeue, messages)

    def _try(self, command: Callable[[Any], None], argument: object) -> None:
        try:
            command(argument)
        except Exception as error:  # noqa: BLE001 - the edge towards a queue that may be away
            log.debug("queue_not_told", reason=str(error))


async def probe_queue(client: redis.asyncio.Redis) -> QueueState:
    """Return how the queue is: whether it answers, and whether it takes what is written."""
    try:
        await client.set(PROBE_KEY, "", px=PROBE_TTL_MS)
    except REFUSALS as error:
        if isinstance(error, redis.exceptions.ReadOnlyError):
            # As above: the next probe asks whoever has the name then.
            await client.connection_pool.disconnect(inuse_connections=False)
        return "refuses_writes"
    except (redis.RedisError, OSError):  # TimeoutError is an OSError
        return "unreachable"
    return "reachable"


class Bell:
    """Rings for tasks. Blocks for a moment: call it on a thread, never on an event loop."""

    def __init__(self, url: str) -> None:
        self._broker = QueueBroker(url, middleware=[])

    def ring(self, task: Task, *args: object) -> None:
        """Send the task a message unless enough of them wait. Never raises: workers look anyway."""
        try:
            if self._broker.waiting(task.queue) < WAITING_MESSAGES_MAX:
                self._broker.enqueue(
                    Message(
                        queue_name=task.queue,
                        actor_name=task.name,
                        args=args,
                        kwargs={},
                        options={},
                    )
                )
            else:
                self._broker.note_back(is_read_only=True)
        except QueueTrouble:
            pass
        except redis.RedisError as error:
            self._broker.note_trouble(error)

    def close(self) -> None:
        """Close the connections."""
        self._broker.close()
