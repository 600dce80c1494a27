"""Termination: SIGTERM, SIGINT and SIGHUP as one request to stop; later signals change nothing.

One thread waits for the signals, and all others block them. So no code runs in a signal handler,
and the process ends by its deadline even if its main thread hangs.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_process(status: int) -> NoReturn:
    """Exit with this status, without Python's last search for what nobody uses.

    That takes a fifth of a second of processor: on a busy machine more than is left before a
    supervisor kills the process, and the user of a command waits for it.
    """
    gc.freeze()
    sys.exit(status)


class Termination:
    """The request to stop a process.

    Make it in the main thread, before any other thread starts.
    """

    def __init__(self, *, deadline_s: float) -> None:
        """End the process `deadline_s` after the first signal, whatever it is doing then."""
        self.requested = threading.Event()
        self._deadline_s = deadline_s
        self._callback: Callable[[], object] | None = None
        self._lock = threading.Lock()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="termination", daemon=True).start()

    def when_requested(self, callback: Callable[[], object]) -> None:
        """Call this when the request comes, on another thread; now if it has come already."""
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
        # A manager may signal the whole group, then the process: the second signal is ignored.
        while (left_s := deadline - time.monotonic()) > 0:
            signal.sigtimedwait(SIGNALS, left_s)
        log.error("stop_deadline_passed", after_s=self._deadline_s)
        os._exit(1)
