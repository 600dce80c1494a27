"""Logs: structlog and the standard library through one formatter, to standard output.

A static snake_case event name first, ids as fields; never a payload, a header or a secret.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat: TypeAlias = Literal["auto", "json", "console"]

# These say at "info" what our own lines say already, or say it for each request.
_QUIET = ("uvicorn.access", "uvicorn.error", "apscheduler", "dramatiq", "httpx", "stripe")


def configure_logging(log_format: LogFormat = "auto") -> None:
    """Set up logging for this process; a second call replaces the first."""
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
        # Its own choice where rich is installed shows the locals: payloads, headers, secrets.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [
        structlog.processors.format_exc_info,
        _event_first,
        structlog.processors.JSONRenderer(),
    ]


def _event_first(_logger: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    order = ("event", "level", "timestamp")
    return {key: entry[key] for key in order if key in entry} | dict(entry)
