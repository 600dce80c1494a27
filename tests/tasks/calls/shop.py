"""A provider of the tests' own, and the outbox that its calls stand in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.conditions import eventually

if TYPE_CHECKING:
    import asyncpg

    from db.connections.pool import Connection
    from db.outbox.provider_calls import ProviderCall

KIND = "shop.refund"
AT_ONCE_HERE = 4


class Shop:
    """A provider whose calls do what the test says; it keeps nothing open."""

    name = "shop"
    calls_at_once_here = AT_ONCE_HERE
    calls_at_once = 8

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.running = 0
        self.most = 0
        self.done: list[str] = []
        self.turn = asyncio.Event()
        self.turn.set()
        self.slow: set[str] = set()
        self.slow_turn = asyncio.Event()
        self.kinds = {KIND: self.make}

    def calls(self) -> dict[str, Any]:
        return self.kinds

    async def check_account(self) -> None:
        """Its key is ours."""

    async def is_making(self, calls: int) -> None:
        """Wait until so many calls have begun."""

        async def are_begun() -> bool:
            return self.running >= calls

        await eventually(are_begun)

    async def make(self, call: ProviderCall) -> dict[str, Any]:
        self.made.append(call.key)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.turn.wait()
            if call.key in self.slow:
                await self.slow_turn.wait()
        finally:
            self.running -= 1
        if failure := self.fails.get(call.key):
            raise failure
        self.done.append(call.key)
        return {"key": call.key}


async def write(db: Connection, *keys: str, kind: str = KIND) -> None:
    await db.execute(
        "insert into fleet.provider_calls (kind, key) select $1, k from unnest($2::text[]) as k",
        kind,
        list(keys),
    )


async def rows(db: Connection) -> dict[str, asyncpg.Record]:
    found = await db.fetch("select * from fleet.provider_calls order by id")
    return {row["key"]: row for row in found}


async def make_due(db: Connection) -> None:
    """Let the pauses of failed calls be over."""
    await db.execute("update fleet.provider_calls set next_attempt_at = now()")
