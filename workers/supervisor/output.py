"""The output of the fleet: whole lines, each with the name of its process before it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
import threading
from itertools import count
from typing import IO

_COLOURS = ("36", "33", "32", "35", "34", "31")
_SEPARATOR = " | "
# A longer line is divided into several.
_LONGEST_LINE_BYTES = 64 * 1024


class Output:
    """Standard output, which one thread per process and the supervisor write to."""

    def __init__(self, *, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self.is_terminal = sys.stdout.isatty()
        self._prefixes: dict[str, bytes] = {}
        self._numbers = count()

    @property
    def columns(self) -> int:
        """The columns beside the name: of the terminal, or of 80 if there is none."""
        return max(shutil.get_terminal_size().columns - self._width - len(_SEPARATOR), 20)

    def say(self, text: str, *, name: str = "coinfleet") -> None:
        """Write a line after a name; on a terminal a long one becomes several."""
        lines = textwrap.wrap(text, self.columns, break_long_words=False, break_on_hyphens=False)
        for line in lines if self.is_terminal else [text]:
            self._write(self._prefix(name) + line.encode() + b"\n")

    def announce(self, text: str) -> None:
        """Write a line without a name, so that programs find it."""
        self._write(text.encode() + b"\n")

    def follow(self, pipe: IO[bytes], *, name: str) -> threading.Thread:
        """Write a process's lines, on a thread, until the process closes the pipe."""
        thread = threading.Thread(target=self._copy, args=(pipe, name), daemon=True)
        thread.start()
        return thread

    def _copy(self, pipe: IO[bytes], name: str) -> None:
        prefix = self._prefix(name)
        with pipe:
            while line := pipe.readline(_LONGEST_LINE_BYTES):
                self._write(prefix + line.rstrip(b"\n") + b"\n")

    def _prefix(self, name: str) -> bytes:
        with self._lock:
            if name not in self._prefixes:
                text = f"{name:<{self._width}}{_SEPARATOR}"
                if self.is_terminal:
                    text = f"\033[{_COLOURS[next(self._numbers) % len(_COLOURS)]}m{text}\033[0m"
                self._prefixes[name] = text.encode()
            return self._prefixes[name]

    def _write(self, line: bytes) -> None:
        # The reader of the output may have ended; the fleet goes on without it.
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
