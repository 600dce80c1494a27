"""Signals to others: errors to Sentry, spans to OpenTelemetry.

Off unless their settings are there; their packages are optional, and are imported only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.optional import load_optional

if TYPE_CHECKING:
    from workers.processes import Process
    from workers.settings import Settings
    from workers.signals.tracing import Tracing


def start_signals(settings: Settings, process: Process) -> None:
    """Start what the settings ask for; call it once, after the log is configured.

    Raises SettingsFault if a setting needs a package that is not installed.
    """
    if settings.sentry_dsn is not None:
        load_optional(
            "workers.signals.sentry", needed_by="SENTRY_DSN", extra="sentry"
        ).start_sentry(settings.sentry_dsn, process.name, environment=settings.sentry_environment)


def open_tracing(settings: Settings, process: Process) -> Tracing | None:
    """Return what makes spans of this process's work; None without OTEL_EXPORTER_OTLP_ENDPOINT.

    Raises SettingsFault if its packages are not installed.
    """
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        return None
    module = load_optional(
        "workers.signals.tracing", needed_by="OTEL_EXPORTER_OTLP_ENDPOINT", extra="opentelemetry"
    )
    tracing: Tracing = module.Tracing(endpoint, process.name)
    return tracing
