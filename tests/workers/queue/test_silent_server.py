"""A RabbitMQ that is frozen takes connections and says nothing: it is away, and no fault of ours.

Stood in for by a port that nobody answers at; tests/workers/queue/test_rabbitmq.py freezes one.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tasks import PROCESS_PAYMENT_EVENTS
from tasks.findings import Verdict
from workers.cli.doctor.examining import Context
from workers.cli.doctor.queue import check_queue
from workers.cli.status.command import _read_queue
from workers.queue import rabbitmq
from workers.queue.doorbell import Bell
from workers.queue.opening import open_probe
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

REASON = "it takes connections and does not answer"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server whose port is open."""
    monkeypatch.setattr(rabbitmq, "CONNECT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"amqp://127.0.0.1:{listener.getsockname()[1]}/%2F"


async def test_whoever_asks_hears_that_it_is_unreachable(url: str) -> None:
    assert await open_probe(url, timeout_s=1).ask() == "unreachable"
    found = await asyncio.to_thread(_read_queue, url)
    assert (found.reachable, found.outage) == (False, f"{url[7:-4]}: {REASON}")
    (finding,) = await check_queue(Context(settings=Settings(broker_url=url)))
    assert finding.verdict is Verdict.BROKEN
    assert REASON in finding.what


def test_a_ring_is_lost_and_said_once(url: str) -> None:
    bell = Bell(url)
    with capture_logs() as logs:
        bell.ring(PROCESS_PAYMENT_EVENTS)
        bell.ring(PROCESS_PAYMENT_EVENTS)
    bell.close()
    (line,) = [each for each in logs if each["log_level"] != "debug"]
    assert (line["event"], line["reason"]) == ("queue_unreachable", REASON)
