"""Signals as something to wait for: a handler only notes, the main loop acts."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import types

from workers.embedded import StartInterrupted

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """From its making on, signals to stop are noted; a second one changes nothing."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP:
            signal.signal(number, self._note)
        # Its handler does nothing, but a child's death ends a wait.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until a signal or a child's death; say whether to stop."""
        if not self.stop_asked:
            select.select([self._reader], [], [], seconds)
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)
        return self.stop_asked

    def pause(self, seconds: float) -> None:
        """As `wait`; raise StartInterrupted when asked to stop."""
        if self.wait(seconds):
            raise StartInterrupted("asked to stop while starting")

    def _note(self, _number: int, _frame: types.FrameType | None) -> None:
        self.stop_asked = True
