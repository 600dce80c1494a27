"""How a worker takes messages off the queue. A lost one does no harm: each only says "look".

Dramatiq's own consumer logs an unreachable queue as critical, and repeats an acknowledgement that
fails for ever. This one waits, or gives up: the message comes again, and finds nothing to do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dramatiq import MessageProxy

log = structlog.get_logger(__name__)

# How soon a worker asks an unreachable queue again; it looks into the database meanwhile.
UNREACHABLE_PAUSE_S = 1.0


class ConsumedBroker(Protocol):
    """What a consumer asks of its broker."""

    actors: Mapping[str, object]

    def note_dropped(self, reason: str) -> None:
        """Log that a message was dropped, once per reason."""


class QueueConsumer(_RedisConsumer):
    """Takes messages off one queue. Drops a message that this release doesn't know."""

    broker: ConsumedBroker

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except ConnectionClosed:
            time.sleep(UNREACHABLE_PAUSE_S)
            return None
        # A message that can't be read, of another program or release. It is off the queue by now.
        except Exception as error:  # noqa: BLE001
            self.broker.note_dropped(type(error).__name__)
            return None
        if message is not None and message.actor_name not in self.broker.actors:
            self.broker.note_dropped(f"no task of this release is named {message.actor_name!r}")
            self.nack(message)
            return None
        return message

    def ack(self, message: MessageProxy) -> None:
        """Tell the queue that the message was handled."""
        self._try(super().ack, message)

    def nack(self, message: MessageProxy) -> None:
        """Tell the queue that the message is not for us."""
        self._try(super().nack, message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back that were fetched and not begun."""
        self._try(super().requeue, messages)

    def _try(self, command: Callable[[Any], None], argument: object) -> None:
        try:
            command(argument)
        except Exception as error:  # noqa: BLE001 - the queue may be unreachable
            log.debug("queue_not_told", reason=str(error))
