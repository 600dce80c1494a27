"""Signals that the main loop waits for. A handler only notes a signal; the loop acts on it."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import types

from workers.embedded import StartInterrupted

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Notes signals to stop from now on; a second one changes nothing."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP:
            signal.signal(number, self._note)
        # Its handler does nothing, but the signal ends a wait when a child has died.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, seconds: float) -> bool:
        """Wait for a time, a signal or the death of a child; return whether to stop."""
        if not self.stop_asked:
            select.select([self._reader], [], [], seconds)
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)
        return self.stop_asked

    def pause(self, seconds: float) -> None:
        """Wait in the same way; raise StartInterrupted if a signal asks to stop."""
        if self.wait(seconds):
            raise StartInterrupted("asked to stop while starting")

    def _note(self, _number: int, _frame: types.FrameType | None) -> None:
        self.stop_asked = True
