"""The process `console`: it starts, shows live numbers, stops with people looking, stays small."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.conditions import eventually
from workers.processes import CONSOLE
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.workers.conftest import Run
    from tests.workers.processes import Process

SECRET = "a secret of one start, which is long enough"
MEMORY_BYTES_MAX = 150 * 1024 * 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@asynccontextmanager
async def started(run: Run) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """A console that answers, and a browser in which a viewer is signed in."""
    url = f"http://127.0.0.1:{free_port()}"
    port = str(urlsplit(url).port)
    process = await run(CONSOLE.module, CONSOLE_PORT=port, CONSOLE_LINK_SECRET=SECRET, REDIS_URL="")
    async with httpx.AsyncClient(base_url=url) as browser:

        async def answers() -> bool:
            try:
                return (await browser.get("/healthz")).status_code == 200
            except httpx.TransportError:
                assert process.popen.poll() is None, process.text
                return False

        await eventually(answers)
        await sign_in(browser)
        yield process, browser


async def sign_in(browser: httpx.AsyncClient) -> None:
    """Begin a session of a viewer."""
    path = make_links("", SECRET)[Role.VIEWER]
    assert (await browser.get(path)).status_code == 200


async def test_it_stops_while_people_look_and_stays_small(run: Run) -> None:
    async with started(run) as (process, browser):

        async def look() -> int:
            seen = 0
            async with httpx.AsyncClient(base_url=browser.base_url) as own:
                await sign_in(own)
                async with own.stream("GET", "/live") as stream:
                    assert stream.status_code == 200
                    looking.release()
                    async for line in stream.aiter_lines():
                        seen += line.startswith("data: ")
            return seen

        looking = asyncio.Semaphore(0)
        people = [asyncio.create_task(look()) for _ in range(20)]
        for _ in people:
            await looking.acquire()
        assert psutil.Process(process.popen.pid).memory_info().rss < MEMORY_BYTES_MAX
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0, process.text
        await asyncio.gather(*people, return_exceptions=True)
    assert "stop_deadline_passed" not in process.text
    assert "console_stopped" in process.text


@pytest.mark.long
async def test_the_stream_tells_what_changed(run: Run) -> None:
    async with started(run) as (_, browser), browser.stream("GET", "/live") as stream:
        async for line in stream.aiter_lines():
            if "Oldest pending" in line:
                return
    raise AssertionError("the stream ended without it")


@pytest.mark.long
async def test_it_says_that_nobody_can_sign_in(run: Run) -> None:
    process = await run(CONSOLE.module, CONSOLE_PORT=str(free_port()), REDIS_URL="")

    async def says() -> bool:
        return "nobody_can_sign_in" in process.text

    await eventually(says)
    assert "SUPABASE_URL" in process.text


@pytest.mark.long
async def test_a_port_that_is_taken_is_said_with_its_setting(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await run(CONSOLE.module, CONSOLE_PORT=str(port), CONSOLE_LINK_SECRET=SECRET)
        assert await process.ended() != 0
    assert "CONSOLE_PORT" in process.text
