"""The output of a command: any width, and a reader that may close it early.

Every command gets its console here, so that neither can end it in a traceback. streams.py sees to
encodings.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from rich.console import Console
from rich.text import Text


def make_console() -> Console:
    """Return a console on standard output; a reader that has closed it is no error."""
    return _Console(highlight=False, file=cast("IO[str]", _Output(sys.stdout)))


def write(text: str) -> None:
    """Write a line to standard output; do nothing if its reader has closed it."""
    output = _Output(sys.stdout)
    try:
        output.write(text + "\n")
        output.flush()
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Discard what is still written to standard output: nobody reads it any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def width_of(console: Console) -> int | None:
    """Return how many columns a line may have, or None if it goes to a file or a program."""
    return console.width if console.is_terminal or os.environ.get("COLUMNS") else None


def wrapped(line: str, *, width: int | None, indent: str = "") -> list[str]:
    """Break a line between words; a word that is longer than the width stays whole."""
    if width is None:
        return [line]
    return textwrap.wrap(
        line,
        max(width, 20),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_lines(console: Console, lines: Iterable[str], *, style: str = "") -> None:
    """Print lines as they are, whatever the width; replace control characters by spaces."""
    for line in lines:
        console.print(Text(_harmless(line), style=style), soft_wrap=True)


def _harmless(line: str) -> str:
    """Return the line without control characters: an error may quote what a stranger sent."""
    return "".join(each if each.isprintable() else " " for each in line)


def print_rows(
    console: Console,
    header: Sequence[str],
    rows: Iterable[tuple[Sequence[str], str]],
) -> None:
    """Print rows, each with its style, under a header.

    Never cuts a cell off: if the rows are too wide, each cell gets a line of its own. The first
    column is aligned to the left, the others to the right.
    """
    found = list(rows)
    widths = [max(len(row[column]) for row in [header, *(r for r, _ in found)])
              for column in range(len(header))]  # fmt: skip
    width = width_of(console)
    if width is None or sum(widths) + 2 * (len(widths) - 1) <= width:
        print_lines(console, [_aligned(header, widths)], style="bold")
        for row, style in found:
            print_lines(console, [_aligned(row, widths)], style=style)
        return
    print_lines(console, [header[0]], style="bold")
    for row, style in found:
        cells = [f"{name}: {cell}" for name, cell in zip(header[1:], row[1:], strict=True) if cell]
        lines = [each for cell in cells for each in wrapped(f"  {cell}", width=width, indent="   ")]
        print_lines(console, [*wrapped(row[0], width=width, indent="  "), *lines], style=style)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = f"{cells[0]:<{widths[0]}}"
    others = [f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *others]).rstrip()


class _Output:
    """Standard output that ends the command with one line if it can't be written (a full disk).

    It raises SystemExit: an OSError would look like an outage of the database.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _exit_if_unwritable():
            return self._stream.write(text)

    def flush(self) -> None:
        with _exit_if_unwritable():
            self._stream.flush()


@contextmanager
def _exit_if_unwritable() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still in the buffer would fail once more when Python exits.
        discard_output()
        cause = os.strerror(error.errno or 0)
        raise SystemExit(f"coinfleet: standard output can't be written ({cause})") from error


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on without a reader: the exit code still says whether all is well."""
        discard_output()
