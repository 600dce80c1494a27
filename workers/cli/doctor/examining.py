"""Runs the checks side by side, each for a bounded time, and never raises what one of them raises.

A check is a row of a table: what it looks at, and a coroutine that returns findings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from db.connections.pool import result_or_abandon
from db.errors import CoinfleetError, describe, server_message
from tasks.findings import Finding, Verdict, broken, not_checked, ok

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.connections.pool import Pool
    from workers.settings import Settings

T = TypeVar("T")

TIMEOUT_S = 5.0
ORDER = tuple(Verdict)
# What a database says of what it lacks before its release: a function, table, column or schema.
LACKING = ("42883", "42P01", "42703", "3F000")
_NO_DATABASE = "the database can't be asked"


@dataclass(slots=True, kw_only=True)
class Context:
    """What checks may use. `pool` is None if no address of a database is known here.

    `environment` are the variables that were set, `settings` what became of them.
    """

    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict)
    pool: Pool | None = None
    is_of_console: bool = False
    """Whether the settings are the console's, which may know those of no other process."""
    _found: dict[str, asyncio.Task[Any]] = field(default_factory=dict)

    async def once(self, key: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `ask` returns, asked once whichever check comes first."""
        if key not in self._found:
            self._found[key] = asyncio.create_task(ask())
        found: T = await asyncio.shield(self._found[key])
        return found

    @property
    def database(self) -> Pool:
        """The database's sessions, for checks that are run only where there are any."""
        assert self.pool is not None  # noqa: S101 - see examine
        return self.pool


Run: TypeAlias = Callable[[Context], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table. One that asks the database is not run if that can't be asked."""

    name: str
    looks_at: str
    run: Run
    asks_database: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A check and what it found: at least one finding, the worst first."""

    check: str
    looks_at: str
    findings: list[Finding]

    @property
    def verdict(self) -> Verdict:
        """The worst."""
        return self.findings[0].verdict


async def examine(
    checks: Sequence[Check], context: Context, *, reach: Check, timeout_s: float = TIMEOUT_S
) -> list[Examined]:
    """Run all, in the order of the table, after `reach`, which finds out if the database answers.

    Those that ask no database do not wait for it.
    """
    reaching = asyncio.create_task(_run(reach, context, timeout_s))

    async def in_turn(check: Check) -> Examined:
        if not check.asks_database:
            return await _run(check, context, timeout_s)
        if (await asyncio.shield(reaching)).verdict in (Verdict.BROKEN, Verdict.NOT_CHECKED):
            return _examined(check, [not_checked(_NO_DATABASE)])
        return await _run(check, context, timeout_s)

    others = await asyncio.gather(*map(in_turn, checks))
    return [await reaching, *others]


async def _run(check: Check, context: Context, timeout_s: float) -> Examined:
    try:
        # Nothing is waited for after that: a driver's call to a frozen server ends late.
        found = await result_or_abandon(check.run(context), after_s=timeout_s)
    except TimeoutError:
        fix = "run it again; if it stays so, look at what it asks"
        found = [not_checked(f"no answer within {timeout_s:g} s", fix=fix)]
    # Whatever it is, the other checks still say what they found.
    except Exception as error:  # noqa: BLE001
        said = _said(error)
        if said.startswith(LACKING):
            found = [
                not_checked(f"the database is not this release's ({said})", fix="see `schema`")
            ]
        else:
            what = f"it can't be found out: {said}"
            found = [broken("check_failed", what, fix="remove that cause")]
    return _examined(check, found)


def _examined(check: Check, found: Sequence[Finding]) -> Examined:
    findings = sorted(found or [ok("nothing to say")], key=lambda each: ORDER.index(each.verdict))
    return Examined(check=check.name, looks_at=check.looks_at, findings=findings)


def _said(error: Exception) -> str:
    """Return the error without what may be a secret: the text of an unknown one may quote any."""
    if isinstance(error, CoinfleetError) or server_message(error):
        return describe(error)
    return type(error).__name__
