"""Logs: structlog and the standard library write through one formatter to standard output.

An entry has a fixed snake_case event name, and ids as fields. It must not hold a payload, a header
or a secret.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import textwrap
import traceback
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

from db.errors import describe, sqlstate_of
from workers.streams import prepare_streams

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

LogFormat: TypeAlias = Literal["auto", "json", "console"]

# Their entries of level "info" repeat our own, or come with every request.
_QUIET = ("uvicorn.access", "uvicorn.error", "apscheduler", "dramatiq", "httpx", "httpcore")


def configure_logging(log_format: LogFormat = "auto") -> None:
    """Set up logging for this process; a second call replaces the first."""
    prepare_streams()
    stamped: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*stamped, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamped,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(log_format: LogFormat) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and sys.stdout.isatty()):
        return [_show_stack, ConsoleLine(colours=_has_colours())]
    return [
        _show_stack,
        _event_first,
        structlog.processors.JSONRenderer(),
    ]


def _stack_of(exc_info: ExcInfo) -> str:
    """Return an error's stack; what a database said is told without rows and values."""
    text = "".join(traceback.format_exception(*exc_info))
    for error in _all_of(exc_info[1]):
        if sqlstate_of(error):
            # Line by line, because within a group each is indented.
            first, *rows = str(error).splitlines() or [""]
            for row in filter(None, rows):
                text = text.replace(row, "…")
            text = text.replace(first, describe(error)) if first else text
    return text.rstrip("\n")


def _all_of(error: BaseException) -> list[BaseException]:
    """Return an error and those that it came from, or holds."""
    found, left = [], [error]
    while left:
        each = left.pop()
        if each not in found:
            found.append(each)
            held = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            left += [one for one in (each.__cause__, each.__context__, *held) if one]
    return found


_show_stack = structlog.processors.ExceptionRenderer(_stack_of)


class ConsoleLine:
    """Renders an entry for a person: the time, the event and its fields.

    A field that doesn't fit the terminal's width begins a new line. Under `coinfleet up` a part of
    the width is left for the name of the process.
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _logger: WrappedLogger, _name: str, entry: EventDict) -> str:
        """Return the line or lines."""
        exception = entry.pop("exception", None)
        # A person reads it today, and every time is in UTC.
        time = str(entry.pop("timestamp", "")).partition("T")[2].partition(".")[0]
        level = str(entry.pop("level", "info"))
        words = [time, "" if level == "info" else level, str(entry.pop("event", ""))]
        fields = [f"{name}={_quoted(value)}" for name, value in entry.items()]
        lines = _fill([*filter(None, words), *fields], width=shutil.get_terminal_size().columns)
        if self._colours and level in _COLOURS:
            lines = [f"\033[{_COLOURS[level]}m{line}\033[0m" for line in lines]
        return "\n".join([*lines, exception] if exception else lines)


_COLOURS = {"warning": "33", "error": "31", "critical": "31"}
_INDENT = " " * 9


def _fill(words: list[str], *, width: int) -> list[str]:
    """Put fields on lines; break one that is longer than a line between its words."""
    lines = [""]
    for word in words:
        if lines[-1].strip() and len(lines[-1]) + 1 + len(word) > width:
            lines.append(_INDENT)
        if len(lines[-1]) + len(word) + 1 > width and " " in word:
            first, *rest = textwrap.wrap(
                word,
                max(width - len(_INDENT), 20),
                break_long_words=False,
                break_on_hyphens=False,
            )
            lines[-1] += first
            lines += [_INDENT + each for each in rest]
        else:
            lines[-1] += word if not lines[-1].strip() else f" {word}"
    return lines


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text


def _has_colours() -> bool:
    return sys.stdout.isatty() or bool(os.environ.get("COINFLEET_COLOURS"))


def _event_first(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    order = ("event", "level", "timestamp")
    return {key: entry[key] for key in order if key in entry} | dict(entry)
