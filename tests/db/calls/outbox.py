"""The outbox as its tests write and read it; time is that of the books."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

    from tests.db.books import Books

KIND = "shop.order"
LEASE_S = 90


@dataclass(frozen=True, slots=True)
class Outbox:
    """Calls, and the workers who make them."""

    books: Books

    async def write(self, key: str, *, kind: str = KIND, **columns: Any) -> int:
        """Write a call as the transaction that decides does; gives its number."""
        row = {"kind": kind, "key": key, "next_attempt_at": self.books.now} | columns
        names = ", ".join(row)
        places = ", ".join(f"${no}" for no in range(1, len(row) + 1))
        call_id: int = await self.books.db.fetchval(
            f"insert into fleet.provider_calls ({names}) values ({places}) returning id",
            *row.values(),
        )
        return call_id

    async def claim(
        self,
        *kinds: str,
        worker: str = "one",
        limit: int = 10,
        at_once: int = 10,
        lease_s: int = LEASE_S,
    ) -> list[asyncpg.Record]:
        """Claim what is due."""
        return await self.books.db.fetch(
            "select * from fleet.claim_provider_calls($1, $2, $3, $4, $5, $6) order by id",
            worker,
            list(kinds or (KIND,)),
            limit,
            at_once,
            lease_s,
            self.books.now,
        )

    async def claim_one_of(self, kind: str) -> asyncpg.Record:
        """Claim the one call of this kind that is due."""
        (call,) = await self.claim(kind)
        return call

    async def claim_one(self, **changes: Any) -> asyncpg.Record:
        """Claim the one call that is due."""
        (call,) = await self.claim(**changes)
        return call

    async def finish(self, call: asyncpg.Record, result: object = None) -> bool:
        """Store its answer."""
        is_ours: bool = await self.books.db.fetchval(
            "select fleet.finish_provider_call($1, $2, $3, $4)",
            call["id"],
            call["attempt"],
            json.dumps(result or {}),
            self.books.now,
        )
        return is_ours

    async def fail(
        self, call: asyncpg.Record, fate: str = "transient", retry_after_s: float | None = None
    ) -> asyncpg.Record | None:
        """Record a failed attempt."""
        return await self.books.db.fetchrow(
            "select * from fleet.fail_provider_call($1, $2, $3, $4, $5, $6)",
            call["id"],
            call["attempt"],
            "503",
            fate,
            retry_after_s,
            self.books.now,
        )

    async def state(self, call_id: int) -> str:
        """What became of it."""
        state: str = await self.books.db.fetchval(
            "select state from fleet.provider_calls where id = $1", call_id
        )
        return state
