"""The check of the database at the start: whether a process can ever work with this address.

It waits for nothing: an outage is logged, and the process begins all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from db.connections.pool import expire_if_unfit
from db.connections.roles import check_process_role
from db.errors import DatabaseRefused, describe, is_transient
from db.health.readiness import check_writable
from db.release.compatibility import is_current

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from db.connections.roles import ProcessLogin
    from workers.outage import Outage

log = structlog.get_logger(__name__)


async def check_at_start(
    pool: Pool, process: ProcessLogin, *, url: str, outage: Outage, work: str
) -> None:
    """Ask the database once, before work begins; note an outage as one that stops `work`.

    It is an outage if the database is unreachable, takes no writes or has no session left for us. A
    schema older than this release is only warned of. What waiting doesn't cure is raised: a wrong
    password, no such database, another process's role.
    """
    try:
        await check_process_role(pool, process, url=url)
        await check_writable(pool)
        if not await is_current(pool):
            log.warning("schema_not_current", then="waiting for the release")
    except Exception as error:
        if isinstance(error, DatabaseRefused) or not is_transient(error):
            raise
        await expire_if_unfit(pool, error)
        outage.begin(work, reason=describe(error))
