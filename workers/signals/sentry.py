"""Errors to Sentry: each log entry of level error, and what ends a process or a thread.

What is sent names code and never data: the entry's fixed name, numbers, names of ours, and of an
exception its class, its SQLSTATE and its stack. No message of an exception, no local variable, no
request, no breadcrumb: these may hold a payload, a person or a secret.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.utils import event_from_exception

from db.errors import sqlstate_of
from workers.version import release_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_sdk.types import Event

# Fields of our entries whose text is a name of ours. Of all others only numbers are sent.
NAMES = frozenset({"invariant", "job", "kind", "provider", "sqlstate", "task", "work"})
# Sentry is not waited for: a process that stops has this long to send what it has.
FLUSH_S = 1.0
# What an event may have. Anything else that a version of the library adds is left out.
KEPT = frozenset(
    {"contexts", "environment", "event_id", "exception", "level", "logger", "logentry", "platform"}
    | {"release", "sdk", "server_name", "tags", "threads", "timestamp", "transaction", "type"}
)
KEPT_OF_A_FRAME = frozenset(
    {"abs_path", "filename", "function", "in_app", "lineno", "module"}
    | {"context_line", "pre_context", "post_context"}
)


def start_sentry(dsn: str, process: str, *, environment: str) -> None:
    """Send errors there from now on; the process is named in each."""
    sentry_sdk.init(
        dsn,
        environment=environment,
        release=f"coinfleet@{release_version()}",
        default_integrations=False,
        integrations=[
            AtexitIntegration(callback=lambda _pending, _timeout: None),
            ExcepthookIntegration(),
            ThreadingIntegration(propagate_hub=False),
        ],
        before_send=_scrubbed,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        shutdown_timeout=FLUSH_S,
        traces_sample_rate=None,
        auto_session_tracking=False,
    )
    sentry_sdk.set_tag("process", process)
    logging.getLogger().addHandler(ErrorSender())


class ErrorSender(logging.Handler):
    """Sends each entry of the log from level error on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        """Send it; a failure of that must never become the failure of what is logged."""
        try:
            _send(record)
        except Exception:  # noqa: BLE001
            self.handleError(record)


def _send(record: logging.LogRecord) -> None:
    entry: Mapping[str, Any] = record.msg if isinstance(record.msg, dict) else {}
    error = _error_of(entry.get("exc_info") or record.exc_info)
    event = event_from_exception(error)[0] if error else {}
    # A foreign entry's template; its values may be anything.
    name = str(entry.get("event", record.msg))
    event["level"] = "fatal" if record.levelno >= logging.CRITICAL else "error"
    event["logger"] = record.name
    event["logentry"] = {"message": name}
    event["tags"] = {"log_event": name[:200]} | _told(entry)
    if sqlstate := sqlstate_of(error):
        event["tags"]["sqlstate"] = sqlstate
    sentry_sdk.capture_event(event)


def _told(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of an entry that may be sent."""
    return {
        name: str(value)[:200]
        for name, value in entry.items()
        if isinstance(value, int | float) or (name in NAMES and isinstance(value, str))
    }


def _error_of(found: object) -> BaseException | None:
    match found:
        case BaseException():
            return found
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exception()
        case _:
            return None


def _scrubbed(event: Event, _hint: Mapping[str, Any]) -> Event:
    """Return the event without all that could hold data. Called for each, of whatever source."""
    kept: dict[str, Any] = {name: value for name, value in event.items() if name in KEPT}
    for exception in (kept.get("exception") or {}).get("values", ()):
        exception["value"] = ""
        exception.pop("mechanism", None)
        _scrub_frames(exception)
    for thread in (kept.get("threads") or {}).get("values", ()):
        _scrub_frames(thread)
    return cast("Event", kept)


def _scrub_frames(holder: dict[str, Any]) -> None:
    for frame in (holder.get("stacktrace") or {}).get("frames", ()):
        for name in frame.keys() - KEPT_OF_A_FRAME:
            del frame[name]
