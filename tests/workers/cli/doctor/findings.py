"""What the tests of `coinfleet doctor` share: to run a check, and to read what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.findings import Verdict
from tests.provoking import noted
from workers.cli.doctor.examining import Context
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection, Pool
    from tasks.findings import Finding
    from workers.cli.doctor.examining import Run

WRONG = (Verdict.BROKEN, Verdict.ATTENTION)


def context(
    pool: Pool | Connection | None = None,
    *,
    environment: dict[str, str] | None = None,
    **settings: Any,
) -> Context:
    """A context with these settings; a connection stands in for a pool."""
    return Context(
        settings=Settings(**settings),
        environment=environment or {},
        pool=pool,  # type: ignore[arg-type]
    )


def wrong(findings: Sequence[Finding]) -> list[tuple[Verdict, str]]:
    """What needs a person; each such finding names its fix."""
    found = [each for each in noted(findings) if each.verdict in WRONG]
    assert all(each.fix and each.code for each in found)
    return [(each.verdict, each.what) for each in found]


async def found(run: Run, given: Context) -> tuple[Verdict, str]:
    """The one finding of a check that needs a person."""
    (only,) = wrong(await run(given))
    return only
