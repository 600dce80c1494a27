"""The processes that a benchmark measures: started as in production, ended with the block."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

STOP_TIMEOUT_S = 10.0
_FOLDER = Path(__file__).parents[2]


class Serving(NamedTuple):
    """A process that listens on a port."""

    port: int
    pid: int


@contextmanager
def running(module: str, environment: Mapping[str, str], *, log: Path) -> Iterator[int]:
    """Run `python -m module` with these settings only; yields its pid."""
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
async def serving(
    module: str, environment: Mapping[str, str], *, log: Path
) -> AsyncIterator[Serving]:
    """Run a module that serves HTTP on a free port; yields it once it listens."""
    port = free_port()
    with running(module, {**environment, "PORT": str(port)}, log=log) as pid:
        await eventually(lambda: _is_listening(port))
        yield Serving(port, pid)


def resident_mb(pid: int) -> float:
    """Return how much memory a process and its children use, in MB."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_info().rss for each in family) / 1e6


def free_port() -> int:
    """Return a port on which nobody listens."""
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
