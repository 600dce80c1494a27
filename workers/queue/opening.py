"""Which queue an address names: Redis (or Valkey) or RabbitMQ, and what speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from workers.optional import load_optional
from workers.queue.client import QueueBroker
from workers.queue.probe import RedisProbe

if TYPE_CHECKING:
    from dramatiq import Middleware

    from workers.queue.probe import QueueState
    from workers.queue.rabbitmq import RabbitQueueBroker


class QueueProbe(Protocol):
    """Asks the queue of a web process how it is."""

    async def ask(self) -> QueueState:
        """Return whether it answers, and whether it takes what is written. Never raises."""

    async def close(self) -> None:
        """Close what is open."""


def open_broker(url: str, *, middleware: list[Middleware]) -> QueueBroker | RabbitQueueBroker:
    """Return the broker for this address; it connects to nothing yet. Raises SettingsFault."""
    if not url.startswith("amqp"):
        return QueueBroker(url, middleware=middleware)
    broker: RabbitQueueBroker = _rabbitmq().RabbitQueueBroker(url, middleware=middleware)
    return broker


def open_probe(url: str, *, timeout_s: float) -> QueueProbe:
    """Return what asks this queue how it is, waiting no longer than this."""
    if not url.startswith("amqp"):
        return RedisProbe(url, timeout_s=timeout_s)
    probe: QueueProbe = _rabbitmq().RabbitProbe(url)
    return probe


def _rabbitmq() -> Any:
    return load_optional(
        "workers.queue.rabbitmq", needed_by="BROKER_URL with amqp://", extra="rabbitmq"
    )
