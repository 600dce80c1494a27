"""Spans to OpenTelemetry: one per webhook received, one per batch applied, with links between them.

Of a provider's request a span has the provider's name and our answer's status; never a body, an id
of a person or an address. Which spans are sampled, and with what headers they are sent, the
library reads from the environment (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS …).
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace
from opentelemetry.context import Context as SpanContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from db.errors import describe
from db.inbox.traces import read_traces
from workers.outage import Outage
from workers.version import release_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from db.connections.pool import Pool
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import EventId

log = structlog.get_logger(__name__)

# A process that stops has this long to send what it has.
FLUSH_S = 1.0
# So many links a span may have by the specification's default; a batch may have more events.
LINKS_MAX = 128
NONE_YET = SpanContext()
_W3C = TraceContextTextMapPropagator()


class Tracing:
    """The spans of one process."""

    def __init__(self, endpoint: str, process: str) -> None:
        """Send spans to the collector at `endpoint`, by HTTP."""
        # OTEL_RESOURCE_ATTRIBUTES may add to these.
        resource = Resource.create(
            {"service.name": f"coinfleet-{process}", "service.version": release_version()}
        )
        exporter = SpanSender(endpoint.rstrip("/"))
        # It is shut down here, within a time of its own.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("coinfleet")
        atexit.register(self.flush)

    def flush(self) -> None:
        """Send what is waiting, within FLUSH_S."""
        thread = threading.Thread(target=self._provider.force_flush, daemon=True)
        thread.start()
        thread.join(FLUSH_S)

    def around(self, endpoint: ASGIApp) -> ASGIApp:
        """Return the endpoint of a provider's requests with a span around each.

        A sender's own span becomes a link and no parent: a stranger must not decide what is
        sampled.
        """
        return TracedEndpoint(self._tracer, endpoint)

    def mark(self, arrival: Arrival) -> Arrival:
        """Return the arrival with the span in which it is received, if that is sampled."""
        if not trace.get_current_span().get_span_context().trace_flags.sampled:
            return arrival
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return replace(arrival, traceparent=carrier["traceparent"])

    def batches_of(self, pool: Pool) -> BatchSpans:
        """Return what makes a span of each batch that this worker applies."""
        return BatchSpans(self._tracer, pool)


class SpanSender(OTLPSpanExporter):
    """Sends spans, and logs an outage of the collector once; spans are dropped meanwhile."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint=f"{endpoint}/v1/traces")
        self._outage = Outage("collector", then="spans are dropped", server=endpoint)
        # It would log each try, and each batch that it gives up as an error.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        # It takes a sampler that it doesn't know for one that sends all, and says so here alone.
        logging.getLogger("opentelemetry.sdk.trace.sampling").setLevel(logging.WARNING)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them; returns whether that succeeded."""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._outage.end()
        else:
            self._outage.begin("spans", reason="it does not take them")
        return result


class TracedEndpoint:
    """An endpoint of a provider's requests, as an ASGI application, with a span around each."""

    def __init__(self, tracer: trace.Tracer, endpoint: ASGIApp) -> None:
        self._tracer = tracer
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        provider = scope["path_params"]["provider"]
        known = provider if provider in scope["state"]["receiver"].providers else "unknown"
        senders = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        with self._tracer.start_as_current_span(
            "receive",
            context=NONE_YET,
            kind=SpanKind.SERVER,
            links=_links([senders]),
            attributes={"coinfleet.provider": known, "http.request.method": scope["method"]},
            # An exception's message may quote what was sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._endpoint(scope, receive, sending)


class BatchSpans:
    """Makes a span of each batch, with a link to the span of each event that was traced."""

    def __init__(self, tracer: trace.Tracer, pool: Pool) -> None:
        self._tracer = tracer
        self._pool = pool

    async def __call__(
        self, event_ids: Sequence[EventId], *, began_ns: int, error: str | None = None
    ) -> None:
        """Make the span of one batch that has ended. Never raises: the batch is committed."""
        ended_ns = time.time_ns()
        links: list[Link] = []
        try:
            links = _links(await read_traces(self._pool, event_ids))
        except Exception as failure:  # noqa: BLE001
            log.debug("traces_not_read", error=describe(failure))
        span = self._tracer.start_span(
            "apply",
            context=NONE_YET,
            kind=SpanKind.CONSUMER,
            links=links[:LINKS_MAX],
            attributes={"messaging.batch.message_count": len(event_ids)},
            start_time=began_ns,
        )
        if error is not None:
            # The SQLSTATE or the class; what follows may name a row.
            span.set_status(StatusCode.ERROR, error.partition(":")[0])
        span.end(ended_ns)


def _links(traceparents: Sequence[str]) -> list[Link]:
    found = []
    for traceparent in traceparents:
        with suppress(Exception):
            context = _W3C.extract({"traceparent": traceparent}, context=NONE_YET)
            linked = trace.get_current_span(context).get_span_context()
            if linked.is_valid:
                found.append(Link(linked))
    return found
