"""The doorbell: tells workers that there are payment events, without making anybody wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks import PROCESS_PAYMENT_EVENTS
from workers.queue.client import Bell

if TYPE_CHECKING:
    from workers.settings import Settings

# At most twenty rings a second a process: a worker drains all there is at each.
PAUSE_S = 0.05
# A thread in the middle of a ring ends within the client's own timeouts.
CLOSE_TIMEOUT_S = 5.0


class Doorbell:
    """Rings for payment events on a thread of its own; the first ring after a pause goes at once.

    Rings that come during a pause are one ring at its end, so none is lost.
    """

    def __init__(self, settings: Settings, *, pause_s: float = PAUSE_S) -> None:
        assert settings.redis_url is not None  # noqa: S101 - load_settings asks for it
        self._bell = Bell(settings.redis_url)
        self._pause_s = pause_s
        self._rung = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Ask for a ring; returns at once, whatever state the queue is in. Any thread, any loop."""
        self._rung.set()

    def close(self) -> None:
        """Stop ringing; a ring asked for and not yet sent is dropped, for workers look anyway."""
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
