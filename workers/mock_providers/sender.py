"""Sends webhooks to the fleet as a provider does: each again and again until it is acknowledged.

Signs each try anew. Says in the log what became of each, and never shows a body or a header.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from tasks.providers.calls import CallFailed
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = structlog.get_logger(__name__)

# A provider goes on for days; whoever watches wants to see it arrive.
PAUSE_S = 1.0
# A run of the simulator has fewer refunds; a sender that is never heard must not fill the memory.
WAITING_MAX = 10_000
# The fleet is on the same machine.
REQUESTS_PER_S = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A webhook: where it goes, its body, and how it is signed at a time in seconds since 1970."""

    provider: str
    event_type: str
    path: str
    body: bytes
    sign: Callable[[int], Mapping[str, str]]
    ended: Callable[[int], None] | None = None
    """Called with the status with which it was taken, or refused for good."""


class Sender:
    """Sends webhooks in their order; belongs to one event loop."""

    def __init__(self, fleet: str) -> None:
        """`fleet` is the base address of its `web`."""
        self.fleet = fleet
        self._api = HttpApi(
            fleet, headers={"content-type": "application/json"}, requests_per_s=REQUESTS_PER_S
        )
        self._waiting: asyncio.Queue[Outgoing] = asyncio.Queue(WAITING_MAX)

    def put(self, webhook: Outgoing) -> None:
        """Have it sent; drop it if far too many wait."""
        try:
            self._waiting.put_nowait(webhook)
        except asyncio.QueueFull:
            log.warning("webhook_dropped", provider=webhook.provider, type=webhook.event_type)

    async def run(self) -> None:
        """Send what waits, for ever."""
        try:
            while True:
                await self._deliver(await self._waiting.get())
        finally:
            await self._api.close()

    async def _deliver(self, webhook: Outgoing) -> None:
        while True:
            headers = webhook.sign(int(time.time()))
            try:
                answer = await self._api.send(
                    "POST", webhook.path, headers=headers, body=webhook.body
                )
            except CallFailed:
                status = None
            else:
                status = answer.status
            if webhook.ended is not None and status is not None and status < 500:
                webhook.ended(status)
            what = {"provider": webhook.provider, "type": webhook.event_type, "status": status}
            if status is not None and status < 300:
                log.info("webhook_sent", **what)
                return
            # Refused for good, as by a fleet with another secret.
            if status is not None and 400 <= status < 500:
                log.error("webhook_refused", **what)
                return
            log.warning("webhook_not_taken", **what)
            await asyncio.sleep(PAUSE_S)
