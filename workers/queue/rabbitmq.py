"""RabbitMQ as the queue: the broker and its consumer, with bounds on how long each waits.

It carries wake-ups only, as Redis does: a message that is lost, late or doubled does no harm. The
package pika is optional; only an address with amqp:// loads this module.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pika
import pika.exceptions
import structlog
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed
from pika.adapters.utils.connection_workflow import (
    AMQPConnectorException,
    AMQPConnectorStackTimeout,
)

from workers.queue.trouble import QueueOutage, QueueTrouble
from workers.settings.queue_address import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dramatiq import Message, MessageProxy, Middleware

    from workers.queue.probe import QueueState

log = structlog.get_logger(__name__)

# A healthy server answers in milliseconds; a frozen one must not hold up a stop.
CONNECT_TIMEOUT_S = 1.0
# A server that is silent for two of these is given up. Our side answers while it rings or fetches;
# a connection that rests longer is closed by the server, and the next ring opens one.
HEARTBEAT_S = 5
# What RabbitMQ does with a publisher when its memory or disk is full is to keep it waiting.
BLOCKED_TIMEOUT_S = 1.0
# How soon a worker asks an unreachable queue again; it looks into the database meanwhile.
UNREACHABLE_PAUSE_S = 1.0
# A server that is frozen is left without a word.
CLOSE_TIMEOUT_S = 1.0
# Messages past their age are kept this long, for a person who looks for the cause.
DEAD_MESSAGE_TTL_MS = 600_000
# A server that accepts a connection and then says nothing is told by a class outside of AMQPError.
TROUBLES = (pika.exceptions.AMQPError, AMQPConnectorException, ConnectionClosed, OSError)
REFUSALS = (
    pika.exceptions.AuthenticationError,
    pika.exceptions.ProbableAuthenticationError,
    pika.exceptions.ProbableAccessDeniedError,
    pika.exceptions.ConnectionBlockedTimeout,
    pika.exceptions.ChannelClosedByBroker,
)
# A new connection would be refused in the same way.
REFUSALS_FOR_GOOD = REFUSALS[:-1]
# What the server does not say itself.
REASONS = {
    pika.exceptions.ConnectionBlockedTimeout: (
        "it takes no messages: its memory or its disk is full"
    ),
    pika.exceptions.AuthenticationError: "it refuses the user or the password",
    pika.exceptions.ProbableAuthenticationError: "it refuses the user or the password",
    pika.exceptions.ProbableAccessDeniedError: "it refuses the virtual host",
    AMQPConnectorStackTimeout: "it takes connections and does not answer",
}
# No queue has this name: the server confirms what is sent there, and drops it.
PROBE_ROUTE = "coinfleet.probe"


def parameters_of(url: str) -> pika.ConnectionParameters:
    """Return what pika needs to connect; the timeouts are our own, and it logs nothing."""
    # It logs as an error each connection that its caller handles.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    parts = urlsplit(url)
    told = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return pika.ConnectionParameters(
        host=parts.hostname or "localhost",
        port=parts.port or (5671 if parts.scheme == "amqps" else 5672),
        virtual_host=unquote(parts.path.removeprefix("/")) or "/",
        credentials=pika.PlainCredentials(
            unquote(parts.username or "guest"), unquote(parts.password or "guest")
        ),
        ssl_options=_tls(parts.hostname, told) if parts.scheme == "amqps" else None,
        heartbeat=HEARTBEAT_S,
        blocked_connection_timeout=BLOCKED_TIMEOUT_S,
        socket_timeout=CONNECT_TIMEOUT_S,
        stack_timeout=2 * CONNECT_TIMEOUT_S,
        connection_attempts=1,
        client_properties={"connection_name": "coinfleet"},
    )


def _tls(host: str | None, told: dict[str, str]) -> pika.SSLOptions:
    context = ssl.create_default_context(cafile=told.get("ssl_ca_certs"))
    if told.get("ssl_check_hostname", "true").lower() not in {"true", "1", "yes"}:
        context.check_hostname = False
    if "ssl_certfile" in told:
        context.load_cert_chain(
            told["ssl_certfile"], told.get("ssl_keyfile"), told.get("ssl_password")
        )
    return pika.SSLOptions(context, host)


def within(seconds: float, command: Callable[[], object]) -> None:
    """Run it on a thread of its own, and go on after so long, whatever it does."""
    thread = threading.Thread(target=command, daemon=True)
    thread.start()
    thread.join(seconds)


def reason_of(error: BaseException) -> str:
    """Return why the queue can't be used, in words for an operator."""
    found = _cause_of(error)
    for kind, words in REASONS.items():
        if isinstance(found, kind):
            return words
    match found:
        case pika.exceptions.ConnectionClosed() | pika.exceptions.ChannelClosed():
            return str(found.reply_text)[:300]
        case OSError():
            return found.strerror or type(found).__name__
        case _:
            return type(found).__name__


def _cause_of(error: BaseException) -> BaseException:
    """Return the error within: Dramatiq and pika wrap it, the latter in its arguments."""
    seen = error
    while isinstance(seen, ConnectionClosed | pika.exceptions.AMQPConnectionError):
        inner = seen.args[0] if seen.args else None
        inner = getattr(inner, "exception", inner)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return seen


def try_write(channel: Any) -> None:
    """Have the server confirm a message that no queue gets. Raises what keeps it from that.

    A full memory and a missing right show only when something is sent, and a full memory only by
    a body, which the server leaves unread. The channel confirms.
    """
    channel.basic_publish(exchange="", routing_key=PROBE_ROUTE, body=b"probe")


class RabbitQueueBroker(RabbitmqBroker):
    """A broker that raises QueueTrouble for each trouble with its queue, and logs each once."""

    troubles = TROUBLES
    refusals = REFUSALS
    reason_of = staticmethod(reason_of)

    def __init__(self, url: str, *, middleware: list[Middleware]) -> None:
        # Unconfirmed, the first message of a connection counts as sent to a server that is full.
        super().__init__(middleware=middleware, confirm_delivery=True)
        self.parameters = parameters_of(url)
        self.server = server_of(url)
        self._outage = QueueOutage(self.server)

    @property
    def consumer_class(self) -> type[RabbitConsumer]:
        """The class that takes messages off a queue."""
        return RabbitConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitConsumer:
        """Return a consumer, whether or not the server can be reached now."""
        return RabbitConsumer(self, queue_name, prefetch, timeout)

    def waiting(self, queue_name: str) -> int:
        """Count the messages that no worker has fetched yet."""
        found = self._twice(queue_name, lambda: self._declared_anew(queue_name))
        count: int = found.method.message_count
        return count

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a message, and have the server confirm it. Raises QueueTrouble."""
        assert delay is None  # noqa: S101 -- wake-ups are for now
        try:
            self._twice(message.queue_name, lambda: self._publish(message))
        except TROUBLES as error:
            self.note_trouble(error)
            raise QueueTrouble(reason_of(error)) from error
        self.note_back()
        return message

    def close(self) -> None:
        """Close all connections; a server that does not answer is not waited for."""
        within(CLOSE_TIMEOUT_S, super().close)

    def _twice(self, queue_name: str, command: Callable[[], Any]) -> Any:
        """Do it, by a new connection if the old one rested too long or the queue is gone."""
        try:
            self.declare_queue(queue_name, ensure=True)
            return command()
        except TROUBLES as error:
            del self.connection
            self.queues_pending.add(queue_name)
            if isinstance(cause := _cause_of(error), REFUSALS_FOR_GOOD):
                raise cause from error
        try:
            self.declare_queue(queue_name, ensure=True)
            return command()
        except TROUBLES as error:
            del self.connection
            raise _cause_of(error) from error

    def _declared_anew(self, queue_name: str) -> Any:
        return self.channel.queue_declare(queue=queue_name, passive=True)

    def _publish(self, message: Message[Any]) -> None:
        self.channel.basic_publish(
            exchange="",
            routing_key=message.queue_name,
            body=message.encode(),
            properties=pika.BasicProperties(delivery_mode=2),
            mandatory=True,
        )

    def write_refusal(self) -> str | None:
        """Send something, and return why that is refused, or None. Raises `troubles`."""
        try:
            try_write(self.channel)
        except REFUSALS as error:
            del self.connection
            return reason_of(error)
        return None

    def note_trouble(self, error: Exception) -> None:
        """Log once that the queue is unreachable or refuses, however often that is found out."""
        found = _cause_of(error)
        self._outage.note_trouble(reason_of(found), refuses=isinstance(found, REFUSALS))

    def note_back(self, *, is_read_only: bool = False) -> None:
        """Note that a call succeeded."""
        self._outage.note_back(is_read_only=is_read_only)

    def note_dropped(self, reason: str) -> None:
        """Log that a message was dropped, once per reason."""
        self._outage.note_dropped(reason)

    def _declare_xq_queue(self, queue_name: str) -> Any:
        return self.channel.queue_declare(
            queue=f"{queue_name}.XQ",
            durable=True,
            arguments={"x-message-ttl": DEAD_MESSAGE_TTL_MS},
        )


class RabbitConsumer(_RabbitmqConsumer):
    """Takes messages off one queue, and connects again by itself.

    Drops a message that this release doesn't know.
    """

    broker: RabbitQueueBroker

    def __init__(
        self, broker: RabbitQueueBroker, queue_name: str, prefetch: int, timeout: int
    ) -> None:
        self._told = (broker, queue_name, prefetch, timeout)
        self.broker = broker
        self._is_connected = False

    def __next__(self) -> MessageProxy | None:
        """Return a message, or None after a while without one."""
        try:
            if not self._is_connected:
                self._connect()
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except TROUBLES as error:
            self._is_connected = False
            self.broker.note_trouble(error)
            time.sleep(UNREACHABLE_PAUSE_S)
            return None
        if message is not None and message.actor_name not in self.broker.actors:
            self.broker.note_dropped(f"no task of this release is named {message.actor_name!r}")
            self.nack(message)
            return None
        return message

    def ack(self, message: MessageProxy) -> None:
        """Tell the queue that the message was handled, unless the connection is another by now."""
        if self._is_connected:
            self._try(super().ack, message)

    def nack(self, message: MessageProxy) -> None:
        """Tell the queue that the message is not for us, unless the connection is another."""
        if self._is_connected:
            self._try(super().nack, message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: RabbitMQ offers again what was not acknowledged when a consumer leaves."""

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._is_connected:
            self._is_connected = False
            within(CLOSE_TIMEOUT_S, lambda: self._try(super(RabbitConsumer, self).close))

    def _connect(self) -> None:
        broker, queue_name, prefetch, timeout = self._told
        broker.queues_pending.add(queue_name)
        broker.declare_queue(queue_name, ensure=True)
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._is_connected = True
        broker.note_back()

    def _try(self, command: Any, *arguments: object) -> None:
        try:
            command(*arguments)
        except Exception as error:  # noqa: BLE001 - the queue may be unreachable
            log.debug("queue_not_told", reason=str(error))


class RabbitProbe:
    """Asks RabbitMQ whether it can be used, by a connection of its own for each question."""

    def __init__(self, url: str) -> None:
        self._parameters = parameters_of(url)

    async def ask(self) -> QueueState:
        """Return how the queue is."""
        return await asyncio.to_thread(self._ask)

    async def close(self) -> None:
        """Nothing is open."""

    def _ask(self) -> QueueState:
        try:
            connection = pika.BlockingConnection(self._parameters)
            try:
                channel = connection.channel()
                channel.confirm_delivery()
                try_write(channel)
            finally:
                with suppress(pika.exceptions.AMQPError):
                    connection.close()
        except REFUSALS:
            return "refuses_writes"
        except TROUBLES:
            return "unreachable"
        return "reachable"
