"""Webhooks of mock providers are sent until they are acknowledged, signed anew at each try."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from workers.mock_providers import sender as sender_module
from workers.mock_providers.sender import Outgoing, Sender
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from starlette.requests import Request

SECRET = "of the mock alone"


class Fleet:
    """A receiver that answers as it is told, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.is_heard = asyncio.Event()

    async def hear(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        status = self.statuses.pop(0) if self.statuses else 200
        if not self.statuses:
            self.is_heard.set()
        return Response(status_code=status)


async def send(fleet: Fleet, *bodies: bytes) -> list[int]:
    """Send webhooks until all were heard; return when each try was signed."""
    signed: list[int] = []

    def sign(at_s: int) -> dict[str, str]:
        signed.append(at_s)
        return {"signature": SECRET}

    async with serving(Starlette(routes=[Route("/x", fleet.hear, methods=["POST"])])) as base:
        sender = Sender(base)
        for body in bodies:
            sender.put(Outgoing(provider="stripe", event_type="t", path="/x", body=body, sign=sign))
        sending = asyncio.create_task(sender.run())
        async with asyncio.timeout(20):
            await fleet.is_heard.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return signed


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "PAUSE_S", 0)


async def test_a_webhook_is_sent_until_it_is_acknowledged() -> None:
    fleet = Fleet(503, 500, 502, 200)
    with capture_logs() as logs:
        signed = await send(fleet, b"{}")
    assert fleet.bodies == [b"{}"] * 4
    assert len(signed) == 4
    assert SECRET not in repr(logs)


async def test_webhooks_keep_their_order_and_a_refusal_does_not_stop_them() -> None:
    fleet = Fleet(400, 503, 200, 200)
    await send(fleet, b"1", b"2", b"3")
    assert fleet.bodies == [b"1", b"2", b"2", b"3"]


async def test_far_too_many_are_dropped_and_that_is_said() -> None:
    sender = Sender("http://127.0.0.1:1")
    webhook = Outgoing(
        provider="stripe", event_type="t", path="/x", body=b"", sign=lambda _at_s: {}
    )
    with capture_logs() as logs:
        for _ in range(sender_module.WAITING_MAX + 1):
            sender.put(webhook)
    assert [line["event"] for line in logs] == ["webhook_dropped"]
