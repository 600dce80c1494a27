"""Termination: SIGTERM, SIGINT and SIGHUP, as one request to end that can't be made twice.

A thread waits for the signals, blocked everywhere else. So nothing runs inside a signal handler,
and a main thread that is stuck can neither miss the request nor outlive the deadline.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Termination:
    """A process's request to end. Make one in the main thread, before any other thread starts."""

    def __init__(self, *, deadline_s: float) -> None:
        """`deadline_s` after the first signal the process is gone, whatever it is doing."""
        self.requested = threading.Event()
        self._deadline_s = deadline_s
        self._callback: Callable[[], object] | None = None
        self._lock = threading.Lock()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="termination", daemon=True).start()

    def when_requested(self, callback: Callable[[], object]) -> None:
        """Call this once the request comes, on another thread; at once if it came already."""
        with self._lock:
            self._callback = callback
            if not self.requested.is_set():
                return
        callback()

    def _listen(self) -> None:
        signum = signal.sigwait(SIGNALS)
        deadline = time.monotonic() + self._deadline_s
        log = structlog.get_logger(__name__)
        log.info("stopping", signal=signal.Signals(signum).name)
        with self._lock:
            self.requested.set()
            callback = self._callback
        if callback:
            callback()
        # A process manager that signals the whole group, then the process: the second says nothing.
        while (left_s := deadline - time.monotonic()) > 0:
            signal.sigtimedwait(SIGNALS, left_s)
        log.error("stop_deadline_passed", after_s=self._deadline_s)
        os._exit(1)
