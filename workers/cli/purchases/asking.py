"""A session of the person who types: what every command about purchases asks in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from db.approvals import decisions
from db.connections.explanations import explained_errors
from workers.cli.endings import one_line_errors
from workers.cli.operator_settings import load_decider_url
from workers.cli.terminal import write

if TYPE_CHECKING:
    from db.connections.pool import Connection

T = TypeVar("T")


def ask(question: Callable[[Connection], Awaitable[T]]) -> T:
    """Ask in a session of the person who types; end the command with a line if that fails."""
    url = load_decider_url()

    async def work() -> T:
        with explained_errors():
            async with decisions.deciding(url) as connection:
                return await question(connection)

    with one_line_errors():
        return asyncio.run(work())


def write_json(found: object) -> None:
    """Print what was found as JSON."""
    write(msgspec.json.format(msgspec.json.encode(found)).decode())
