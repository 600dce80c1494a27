"""Provider calls: leases due calls, makes them outside any transaction, records how each ended.

Owns the loop and what it does when a call fails. What a call does is in tasks.providers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from db.connections.pool import expire_if_unfit
from db.errors import is_transient
from db.outbox.provider_calls import claim_calls, fail_call, finish_call, pause_calls
from tasks.providers.calls import AccountNotOurs, CallFailed, CallRefused, CallsUnwanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.outbox.provider_calls import CallFailure, CallFate, ProviderCall
    from tasks.context import Context
    from tasks.providers.calls import MakeCall
    from tasks.providers.provider import Provider

T = TypeVar("T")

log = structlog.get_logger(__name__)

# A call is a few requests, each with a time limit of its own.
CALL_LIMIT_S = 75
# Above that, so that no other worker makes a call that this one is still making.
LEASE_S = 90
# While a call takes long, others may become due.
LOOK_AGAIN_S = 1.0
# A call that has failed for so long needs a person: from then on a failure is an error in the log.
ALARM_AFTER_S = 15 * 60.0
# While the database is away, how a call ended is written again and again until its lease is over.
WRITE_AGAIN_S = 0.5


async def make_provider_calls(ctx: Context) -> int:
    """Make due calls until none is left or the process stops. Return how many were made.

    A provider that is slow or unreachable holds up no other. If the process is killed during a
    call, another worker makes it again after LEASE_S. Raises what the database raises.
    """
    return sum(
        await _all_of(*(_make_calls_of(ctx, provider) for provider in ctx.providers.values()))
    )


async def may_ask(ctx: Context, provider: Provider) -> bool:
    """Return whether the provider may be asked anything now: our key is of an account of ours.

    If it is not, nothing is claimed, so that all waits as it is; that is an alarm, and stands in
    the worker's reports until the process ends.
    """
    breaker = ctx.breakers[provider.name]
    if breaker.calls_allowed(1) == 0:
        return False
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            await provider.check_account()
    except CallFailed as failure:
        breaker.note_failure(failure)
        return False
    except TimeoutError:
        return False
    except AccountNotOurs as fault:
        _report_fault(ctx, provider, str(fault))
        return False
    return True


def _report_fault(ctx: Context, provider: Provider, error: str) -> None:
    if ctx.meter.note_fault(provider.name, error):
        then = "nothing is asked of it: set the right key or account, and restart the worker"
        log.error("provider_account_not_ours", provider=provider.name, error=error, then=then)


async def _make_calls_of(ctx: Context, provider: Provider) -> int:
    """Make due calls, a few at once; one that takes long keeps no more than its own place."""
    calls = provider.calls()
    if not calls or not await may_ask(ctx, provider):
        return 0
    running: set[asyncio.Task[None]] = set()
    made = 0
    try:
        while True:
            free = _places(ctx, provider) - len(running)
            claimed: list[ProviderCall] = []
            if free > 0:
                claimed = await claim_calls(
                    ctx.pool,
                    worker=ctx.worker,
                    kinds=calls,
                    limit=free,
                    at_once=provider.calls_at_once,
                    lease_s=LEASE_S,
                )
            for call in claimed:
                making = _make(ctx, provider, call, calls[call.kind])
                running.add(asyncio.get_running_loop().create_task(making))
            made += len(claimed)
            if not running:
                return made
            running = await _after_some(running, are_more_due=len(claimed) >= free)
    except asyncio.CancelledError:
        for each in running:
            each.cancel()
        raise
    finally:
        # After an error the others end as they would.
        await _all_of(*running)


def _places(ctx: Context, provider: Provider) -> int:
    """Return how many calls may run now."""
    if ctx.stopping.is_set():
        return 0
    return ctx.breakers[provider.name].calls_allowed(provider.calls_at_once_here)


async def _after_some(
    running: set[asyncio.Task[None]], *, are_more_due: bool
) -> set[asyncio.Task[None]]:
    """Wait until there is reason to look for more calls; return those that still run.

    That is once a call has ended, or, if no more were due, once all have or some time has passed.
    Raises what the database raised while a call was recorded.
    """
    done, running = await asyncio.wait(
        running,
        timeout=LOOK_AGAIN_S,
        return_when=asyncio.FIRST_COMPLETED if are_more_due else asyncio.ALL_COMPLETED,
    )
    for each in done:
        each.result()
    return running


async def _all_of(*works: Awaitable[T]) -> list[T]:
    """Do all of it side by side; raise the first error once each has ended, so that none is cut."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]


async def _make(ctx: Context, provider: Provider, call: ProviderCall, make: MakeCall) -> None:
    """Make one call and record how it ended."""
    breaker = ctx.breakers[provider.name]
    lease_ends_at = time.monotonic() + LEASE_S
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            result = await make(call)
    except CallFailed as failure:
        breaker.note_failure(failure)
        write = partial(_fail, ctx, call, str(failure), "transient", failure.retry_after_s)
    except TimeoutError:
        write = partial(_fail, ctx, call, "not done in time", "transient")
    except CallRefused as refusal:
        breaker.note_answer()
        write = partial(_fail, ctx, call, str(refusal), "refused")
    except CallsUnwanted as unwanted:
        breaker.note_answer()
        write = partial(_pause, ctx, call, str(unwanted))
    # A bug: this call fails alone, and the others are made.
    except Exception as error:  # noqa: BLE001
        # Not its message, which may quote a part of the answer.
        where = extract_tb(error.__traceback__)[-1]
        at = f"{Path(where.filename).name}:{where.lineno}"
        write = partial(_fail, ctx, call, f"{type(error).__name__} at {at}", "defect")
    else:
        breaker.note_answer()
        write = partial(_finish, ctx, call, result)
    await _write(ctx, write, until=lease_ends_at)


async def _write(ctx: Context, write: Callable[[], Awaitable[None]], *, until: float) -> None:
    """Write how a call ended, as soon as the database is back if it is away.

    Else the call would wait for its lease, and be made again for nothing. Each way to write it does
    nothing the second time. Raises what the database raises if that won't pass, if the process
    stops, and at `until`.
    """
    while True:
        try:
            return await write()
        except Exception as error:
            await expire_if_unfit(ctx.pool, error)
            is_late = time.monotonic() + WRITE_AGAIN_S > until
            if is_late or ctx.stopping.is_set() or not is_transient(error):
                raise
        with suppress(TimeoutError):
            await asyncio.wait_for(ctx.stopping.wait(), WRITE_AGAIN_S)


async def _finish(ctx: Context, call: ProviderCall, result: dict[str, Any]) -> None:
    if await finish_call(ctx.pool, call, result):
        log.info("provider_call_made", call_id=call.id, kind=call.kind, attempt=call.attempt)


async def _pause(ctx: Context, call: ProviderCall, error: str) -> None:
    if await pause_calls(ctx.pool, call, error=error):
        then = "they wait until a person says so: see `coinfleet status`"
        log.error("provider_calls_paused", kind=call.kind, error=error, then=then)


async def _fail(
    ctx: Context,
    call: ProviderCall,
    error: str,
    fate: CallFate,
    retry_after_s: float | None = None,
) -> None:
    failed = await fail_call(ctx.pool, call, error=error, fate=fate, retry_after_s=retry_after_s)
    if failed is not None:
        _report(call, failed, error)


def _report(call: ProviderCall, failed: CallFailure, error: str) -> None:
    """Log a failed attempt: as an error if a person must look."""
    is_dead = failed.state == "dead"
    needs_a_person = is_dead or failed.failing_s >= ALARM_AFTER_S
    log.log(
        logging.ERROR if needs_a_person else logging.WARNING,
        "provider_call_failed",
        call_id=call.id,
        kind=call.kind,
        error=error,
        attempt=failed.attempt,
        then="dead: see `coinfleet status`" if is_dead else f"made again in {failed.pause_s:.0f} s",
    )
