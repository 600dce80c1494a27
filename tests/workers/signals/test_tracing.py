"""Spans reach a collector, in OpenTelemetry's own format, and name each other across processes.

A local server stands in for the collector: it takes what the protocol prescribes, by HTTP.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from tasks.payment_events import process_payment_events
from tests.tasks.contexts import make_context
from tests.workers.receiving.serving import Web, a_gift, serving
from workers.processes import WEB, WORKER
from workers.settings import Settings, SettingsFault
from workers.signals import open_tracing
from workers.signals.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from workers.cli.simulate.events import Webhook

SENDERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LINK_OF_SENDER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


class Collector(ThreadingHTTPServer):
    """Takes spans, and keeps them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Exports)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self, name: str) -> list[Any]:
        """The spans of this name."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.name == name
        ]


class Exports(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> list[Tracing]:
    """All that makes spans in this test; `sent` flushes it."""
    made: list[Tracing] = []

    def note(settings: Settings, process: Any) -> Tracing | None:
        tracing = open_tracing(settings, process)
        if tracing is not None:
            made.append(tracing)
        return tracing

    monkeypatch.setattr("workers.receiving.application.open_tracing", note)
    return made


def key(span: Any) -> tuple[str, str]:
    return span.trace_id.hex(), span.span_id.hex()


def links(span: Any) -> list[tuple[str, str]]:
    return [key(link) for link in span.links]


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def send(web: Web, *webhooks: Webhook, **headers: str) -> None:
    for webhook in webhooks:
        answer = await web.client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers) | headers
        )
        assert answer.status_code == 200


async def test_a_batch_names_the_span_in_which_each_of_its_events_was_received(  # noqa: PLR0917
    database: Database,
    redis_url: str,
    db: Connection,
    worker_pool: Pool,
    collector: Collector,
    traced: list[Tracing],
) -> None:
    endpoint = collector.endpoint
    async with serving(database.url("web"), redis_url, otel_exporter_otlp_endpoint=endpoint) as web:
        await send(web, a_gift("gift-1"), a_gift("gift-2"))
    worker = open_tracing(Settings(otel_exporter_otlp_endpoint=endpoint), WORKER)
    assert worker is not None
    context = make_context(worker_pool, observe_batch=worker.batches_of(worker_pool))
    assert await process_payment_events(context) == 2
    for each in (*traced, worker):
        each.flush()

    received = collector.spans("receive")
    (applied,) = collector.spans("apply")
    assert sorted(links(applied)) == sorted(key(span) for span in received)
    assert attributes(applied) == {"messaging.batch.message_count": 2}
    assert applied.end_time_unix_nano >= applied.start_time_unix_nano
    assert [attributes(span) for span in received] == 2 * [
        {
            "coinfleet.provider": "app",
            "http.request.method": "POST",
            "http.response.status_code": 200,
        }
    ]
    stored = await db.fetch("select traceparent from fleet.inbox_events order by id")
    assert [row["traceparent"].split("-")[1:3] for row in stored] == [
        [*key(span)] for span in received
    ]
    assert b"gift-1" not in b"".join(collector.bodies)


async def test_a_senders_span_is_linked_and_decides_nothing(
    database: Database, redis_url: str, collector: Collector, traced: list[Tracing]
) -> None:
    async with serving(
        database.url("web"), redis_url, otel_exporter_otlp_endpoint=collector.endpoint
    ) as web:
        await send(web, a_gift("gift-1"), traceparent=SENDERS)
        await send(web, a_gift("gift-2"), traceparent="no trace at all")
    traced[0].flush()
    first, second = collector.spans("receive")
    assert (links(first), links(second)) == ([LINK_OF_SENDER], [])
    assert first.trace_id.hex() != LINK_OF_SENDER[0]
    assert not first.parent_span_id


async def test_a_second_delivery_leaves_the_trace_of_the_first(
    database: Database, redis_url: str, db: Connection, collector: Collector, traced: list[Tracing]
) -> None:
    find = "select traceparent from fleet.inbox_events"
    webhook = a_gift("gift-1")
    async with serving(
        database.url("web"), redis_url, otel_exporter_otlp_endpoint=collector.endpoint
    ) as web:
        await send(web, webhook)
        first = await db.fetchval(find)
        await send(web, webhook)
    assert await db.fetchval(find) == first is not None


async def test_a_batch_that_fails_says_by_what_and_no_more(
    worker_pool: Pool, collector: Collector
) -> None:
    worker = open_tracing(Settings(otel_exporter_otlp_endpoint=collector.endpoint), WORKER)
    assert worker is not None
    observe = worker.batches_of(worker_pool)
    await observe([], began_ns=1, error="23505: key 4242 is there")
    worker.flush()
    (span,) = collector.spans("apply")
    assert (span.status.code, span.status.message) == (2, "23505")
    assert b"4242" not in b"".join(collector.bodies)


async def test_a_collector_that_is_gone_is_logged_once_and_holds_up_nothing(
    worker_pool: Pool, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    worker = open_tracing(Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:1"), WORKER)
    assert worker is not None
    observe = worker.batches_of(worker_pool)
    with capture_logs() as logs:
        for _ in range(3):
            await observe([], began_ns=1)
            worker.flush()
    assert [line["event"] for line in logs] == ["collector_unreachable"]


@pytest.mark.parametrize(("sampler", "rate"), [("tracidratio", "0.01"), ("traceidratio", "1 %")])
def test_a_sampler_that_is_misspelt_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sampler: str, rate: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", rate)
    Tracing("http://127.0.0.1:1", "web")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "sampler" in record.message.lower()


async def test_without_the_setting_nothing_is_traced_or_imported(
    database: Database, redis_url: str, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "workers.signals.tracing")
    async with serving(database.url("web"), redis_url) as web:
        await send(web, a_gift("gift-1"), traceparent=SENDERS)
    assert await db.fetchval("select count(traceparent) from fleet.inbox_events") == 0


def test_without_its_packages_the_process_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "workers.signals.tracing")
    with pytest.raises(SettingsFault, match=r"pip install '\.\[opentelemetry\]'"):
        open_tracing(Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:1"), WEB)
