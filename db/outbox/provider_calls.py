"""Provider calls: which are due, which worker makes them, and how they ended.

One statement per step, each a transaction of its own: a call is made while none is open. What a
call does is in tasks/providers/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NewType, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    from db.connections.pool import Connection, Pool

CallId = NewType("CallId", int)

# `transient`: tried again for as long as it takes. `defect`: dead at the fifth. `refused`: dead.
CallFate: TypeAlias = Literal["transient", "defect", "refused"]


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """A call that this worker has leased; `key` is the provider's idempotency key, too.

    `is_retry` says that it was tried before, so that the provider may have done it.
    """

    id: CallId
    kind: str
    key: str
    request: dict[str, Any]
    attempt: int
    is_retry: bool


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A failed attempt: `pending` until the next, after `pause_s` seconds, or `dead`.

    `failing_s` is the time since the first attempt.
    """

    state: str
    attempt: int
    pause_s: float
    failing_s: float


async def claim_calls(
    database: Pool | Connection,
    *,
    worker: str,
    kinds: Collection[str],
    limit: int,
    at_once: int,
    lease_s: int,
) -> list[ProviderCall]:
    """Lease up to `limit` due calls of these kinds, which are one provider's.

    All workers together make at most `at_once` of them. A call that is neither finished nor failed
    within `lease_s` may be claimed by another worker.
    """
    rows = await database.fetch(
        "select id, kind, key, request::text, attempt, is_retry"
        " from fleet.claim_provider_calls($1, $2, $3, $4, $5)",
        worker,
        list(kinds),
        limit,
        at_once,
        lease_s,
    )
    return [
        ProviderCall(id_, kind, key, msgspec.json.decode(request), attempt, is_retry)
        for id_, kind, key, request, attempt, is_retry in rows
    ]


async def finish_call(
    database: Pool | Connection, call: ProviderCall, result: dict[str, Any]
) -> bool:
    """Store what the provider answered, and wake the event that waits for it.

    False if this worker was given up meanwhile, and another one makes the call.
    """
    is_ours: bool = await database.fetchval(
        "select fleet.finish_provider_call($1, $2, $3::jsonb)",
        call.id,
        call.attempt,
        msgspec.json.encode(result).decode(),
    )
    return is_ours


async def fail_call(
    database: Pool | Connection,
    call: ProviderCall,
    *,
    error: str,
    fate: CallFate,
    retry_after_s: float | None = None,
) -> CallFailure | None:
    """Record a failed attempt; None if another worker makes the call by now."""
    row = await database.fetchrow(
        "select state, attempts, pause_s, failing_s"
        " from fleet.fail_provider_call($1, $2, $3, $4, $5)",
        call.id,
        call.attempt,
        error,
        fate,
        retry_after_s,
    )
    return CallFailure(*row) if row else None


async def pause_calls(database: Pool | Connection, call: ProviderCall, *, error: str) -> bool:
    """Let no call of this kind be made until a person says so; this one waits with the others.

    True if it is this call that paused them.
    """
    is_first: bool = await database.fetchval(
        "select fleet.pause_provider_calls($1, $2, $3)", call.id, call.attempt, error
    )
    return is_first
