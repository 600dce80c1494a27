"""A fleet without a supervisor: the test starts and kills its processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx

from tests.conditions import eventually
from tests.workers.processes import Process, running
from workers import processes
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path

    from tests.clusters import Database

WEB, WORKER, SCHEDULER = (processes.WEB.module, processes.WORKER.module, processes.SCHEDULER.module)


class Fleet:
    """Processes on one database and one queue, each with its own role."""

    def __init__(
        self, folder: Path, database: Database, redis_url: str, stack: AsyncExitStack
    ) -> None:
        self.database = database
        self.redis_url = redis_url
        self._folder = folder
        self._stack = stack
        self._started = 0

    async def start(
        self, *command: str, descriptors: int | None = None, **environment: str
    ) -> Process:
        """Start `python -m command` with the settings of the fleet; it may open so many files."""
        self._started += 1
        return await self._stack.enter_async_context(
            running(
                self._folder / f"{self._started}-{command[0]}.log",
                *command,
                descriptors=descriptors,
                **DEVELOPMENT_SECRETS,
                **self.database.addresses()
                | {"REDIS_URL": self.redis_url, "LOG_FORMAT": "json"}
                | environment,
            )
        )

    async def start_web(
        self, port: int, *, descriptors: int | None = None, **environment: str
    ) -> Process:
        """Start a receiver and wait until it is ready."""
        web = await self.start(WEB, descriptors=descriptors, PORT=str(port), **environment)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def is_ready() -> bool:
                assert web.popen.poll() is None, web.text
                try:
                    return (await client.get("/readyz")).is_success
                except httpx.TransportError:
                    return False

            await eventually(is_ready)
        return web


async def kill(process: Process) -> None:
    """Kill a process with SIGKILL, and wait for its end."""
    process.signal(signal.SIGKILL)
    assert await process.ended() == -signal.SIGKILL
