"""Commands that tests run in their own process: the start of one takes a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

from workers.cli import make_app
from workers.cli.endings import run_command

if TYPE_CHECKING:
    from tests.clusters import Database


class Ended(NamedTuple):
    """What is seen of a command that has ended."""

    code: int
    out: str
    err: str


class Typed(Protocol):
    """Runs a command of `coinfleet`."""

    async def __call__(self, *words: str, login: str = "owner") -> Ended:
        """Run it with these words as this login."""
        ...


@pytest.fixture
def typed(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Typed:
    """Runs a command on the test's database."""

    async def run(*words: str, login: str = "owner") -> Ended:
        monkeypatch.setenv("DATABASE_URL", database.url(login))

        def command() -> None:
            make_app(words[:1])(list(words), prog_name="coinfleet")

        # In a thread, for it brings its own loop.
        code = await asyncio.to_thread(run_command, command, as_json="--json" in words)
        return Ended(code, *capsys.readouterr())

    return run
