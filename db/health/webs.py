"""The reports of web processes: written every ten seconds, read by operators' commands.

A report is the newest one of a process; there is no history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.health.workers import Trouble

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool


class RefusedInARow(msgspec.Struct, frozen=True):
    """Signed webhooks of a provider that were refused since the last one that was accepted."""

    provider: str
    cause: str
    webhooks: int
    newest_age_s: float


class WebDetail(msgspec.Struct, frozen=True):
    """What a web process reports of itself.

    `clock_ahead_s` is its machine's clock less the database's; None until it was measured.
    `refused` has the causes that only a setting or a clock can mend: no_match, stale. `providers`
    are those whose webhooks it takes, `purchases_from` those whose purchases clients may submit;
    None from a process of the release before. `version` is the release that it runs.
    """

    clock_ahead_s: float | None = None
    refused: tuple[RefusedInARow, ...] = ()
    trouble: Trouble | None = None
    providers: tuple[str, ...] | None = None
    purchases_from: tuple[str, ...] | None = None
    version: str = ""


class WebStatus(msgspec.Struct, frozen=True):
    """A web process's newest report; alive while that is at most 35 s old."""

    web: str
    started_at: datetime
    reported_at: datetime
    is_alive: bool
    detail: WebDetail


async def report_web(
    database: Pool | Connection, web: str, *, uptime_s: float, detail: WebDetail
) -> datetime:
    """Replace the process's report; return the database's time."""
    now: datetime = await database.fetchval(
        "select fleet.report_web($1, $2, $3::jsonb)",
        web,
        uptime_s,
        msgspec.json.encode(detail).decode(),
    )
    return now


async def read_webs(database: Pool | Connection) -> list[WebStatus]:
    """Return the web processes of the last hour and the last of all, by name."""
    rows = await database.fetch(
        "select web, started_at, reported_at, is_alive, detail from fleet.web_statuses()"
    )
    return [
        WebStatus(
            web=row["web"],
            started_at=row["started_at"],
            reported_at=row["reported_at"],
            is_alive=row["is_alive"],
            detail=_read(row["detail"]),
        )
        for row in rows
    ]


def _read(detail: str) -> WebDetail:
    try:
        return msgspec.json.decode(detail, type=WebDetail)
    # The password of web is enough to write any detail: one that can't be read counts as none.
    except (msgspec.DecodeError, RecursionError):
        return WebDetail()
