"""Processes of the fleet: how a test starts, signals and kills them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conditions import DEADLINE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Process:
    """One process and what it has written so far."""

    popen: subprocess.Popen[bytes]
    log: Path

    async def said(self, words: str) -> None:
        """Wait until it has written this."""

        async def is_said() -> bool:
            assert words in self.text or self.popen.poll() is None, self.text
            return words in self.text

        await eventually(is_said)

    @property
    def text(self) -> str:
        """All that it has written."""
        return self.log.read_text()

    def signal(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.popen.send_signal(signum)

    async def ended(self) -> int:
        """Wait until it has ended; return the exit code."""
        return await asyncio.to_thread(self.popen.wait, DEADLINE_S)


@asynccontextmanager
async def running(
    log: Path,
    *command: str,
    descriptors: int | None = None,
    root: Path = ROOT,
    **environment: str,
) -> AsyncIterator[Process]:
    """Run `python -m command` with these variables as its environment; kill it after the block.

    `root` is the folder of the product, if it is another release. With `descriptors` it may open
    this many files, and can't raise the limit.
    """
    limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
    with log.open("wb") as output:
        popen = subprocess.Popen(  # noqa: ASYNC220 - starting one takes a millisecond
            [*limited, sys.executable, "-m", *command],
            cwd=root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root)} | environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield Process(popen, log)
    finally:
        popen.kill()
        popen.wait()
