"""The fleet's output: whole lines, each behind the name of the process that wrote it."""

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
# A longer line is cut into several.
_LONGEST_LINE_BYTES = 64 * 1024


class Output:
    """Standard output, shared by one thread for each process and the supervisor itself."""

    def __init__(self, *, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self.is_terminal = sys.stdout.isatty()
        self._prefixes: dict[str, bytes] = {}
        self._numbers = count()

    @property
    def columns(self) -> int:
        """How much of the terminal's width, or of 80 columns, is left beside the name."""
        return max(shutil.get_terminal_size().columns - self._width - len(_SEPARATOR), 20)

    def say(self, text: str, *, name: str = "coinfleet") -> None:
        """Write a line behind a name; on a terminal, several where it is too long for one."""
        lines = textwrap.wrap(text, self.columns, break_long_words=False, break_on_hyphens=False)
        for line in lines if self.is_terminal else [text]:
            self._write(self._prefix(name) + line.encode() + b"\n")

    def announce(self, text: str) -> None:
        """Write a line that stands alone, for programs to look for."""
        self._write(text.encode() + b"\n")

    def follow(self, pipe: IO[bytes], *, name: str) -> threading.Thread:
        """Pass on a process's lines until it closes its end."""
        thread = threading.Thread(target=self._pass_on, args=(pipe, name), daemon=True)
        thread.start()
        return thread

    def _pass_on(self, pipe: IO[bytes], name: str) -> None:
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
        # Whoever read our output may be gone; the fleet goes on without.
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
