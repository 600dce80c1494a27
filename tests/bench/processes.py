"""The processes that a benchmark measures, started as in production and ended with the block."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

STOP_TIMEOUT_S = 10.0
_FOLDER = Path(__file__).parents[2]


@contextmanager
def running(module: str, environment: Mapping[str, str], *, log: Path) -> Iterator[int]:
    """Run `python -m module` with nothing but these settings; gives its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=_FOLDER,
            env={"PATH": os.environ["PATH"], "LOG_FORMAT": "json", **environment},
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        yield process.pid
        assert process.poll() is None, f"{module} ended: see {log}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def serving(module: str, environment: Mapping[str, str], *, log: Path) -> AsyncIterator[int]:
    """Run a module that serves HTTP on a free port; gives the port once it listens."""
    port = free_port()
    with running(module, {**environment, "PORT": str(port)}, log=log):
        await eventually(lambda: _is_listening(port))
        yield port


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
