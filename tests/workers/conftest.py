"""Fixtures of the tests of processes: gates before the servers, processes behind the gates."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio

from tests.servers.gate import Gate
from tests.workers.processes import Process, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clusters import Database


class Run(Protocol):
    """Starts a process of the fleet that ends with the test."""

    async def __call__(self, *command: str, **environment: str) -> Process:
        """Run `python -m command` with the fleet's addresses, or those given here."""
        ...


@pytest_asyncio.fixture
async def database_gate(database: Database) -> AsyncIterator[Gate]:
    """A closed gate before the test's database, for workers."""
    gate = Gate(database.url("worker"))
    yield gate
    await gate.close()


@pytest_asyncio.fixture
async def queue_gate(redis_url: str) -> AsyncIterator[Gate]:
    """A closed gate before the queue."""
    gate = Gate(redis_url)
    yield gate
    await gate.close()


@pytest.fixture
def environment(database: Database, redis_url: str) -> dict[str, str]:
    """The settings that every process of a test gets."""
    return {
        **database.addresses(),
        "REDIS_URL": redis_url,
        "LOG_FORMAT": "json",
    }


@pytest_asyncio.fixture
async def run(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Run]:
    """Starts processes that end with the test."""
    async with AsyncExitStack() as stack:
        started = 0

        async def start(*command: str, **changes: str) -> Process:
            nonlocal started
            started += 1
            log = tmp_path / f"process-{started}.log"
            return await stack.enter_async_context(running(log, *command, **environment | changes))

        yield start
