"""The doorbell: tells workers that there is work, without making the caller wait.

A message says only that a worker must look. State, attempts and dead letters are in PostgreSQL.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dramatiq import Message

from tasks import PROCESS_PAYMENT_EVENTS
from workers.queue.opening import open_broker
from workers.queue.trouble import QueueTrouble

if TYPE_CHECKING:
    from tasks.task import Task
    from workers.settings import Settings

# Each waiting message makes a worker look: more of them say nothing new.
WAITING_MESSAGES_MAX = 4
# At most twenty rings per second and process: at each a worker does all that is due.
PAUSE_S = 0.05
# A thread in the middle of a ring ends within the client's own timeouts.
CLOSE_TIMEOUT_S = 5.0


class Bell:
    """Sends a task the message that wakes it. Blocks: call it on a thread, never on a loop."""

    def __init__(self, url: str) -> None:
        self._broker = open_broker(url, middleware=[])

    def ring(self, task: Task, *args: object) -> None:
        """Send the message unless enough of them wait. Never raises: workers look anyway."""
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
        except self._broker.troubles as error:
            self._broker.note_trouble(error)

    def close(self) -> None:
        """Close the connections."""
        self._broker.close()


class Doorbell:
    """Rings for payment events on a thread of its own; the first ring after a pause goes at once.

    Rings that come during a pause are one ring at its end, so none is lost.
    """

    def __init__(self, settings: Settings, *, pause_s: float = PAUSE_S) -> None:
        assert settings.queue_url is not None  # noqa: S101 - load_settings asks for it
        self._bell = Bell(settings.queue_url)
        self._pause_s = pause_s
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Ask for a ring; return at once, whatever state the queue is in. Any thread may call."""
        self._rung.set()

    def close(self) -> None:
        """Stop ringing. A ring that was not sent yet is dropped: workers look anyway."""
        self._closed.set()
        self._rung.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._bell.close()

    def _serve(self) -> None:
        while True:
            self._rung.wait()
            self._rung.clear()
            if self._closed.is_set():
                return
            self._bell.ring(PROCESS_PAYMENT_EVENTS)
            self._closed.wait(self._pause_s)
