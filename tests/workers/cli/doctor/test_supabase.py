"""`coinfleet doctor` on a Supabase project, whose people are no superusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.connections.pool import open_pool
from db.release.runner import migrate
from tests.workers.cli.doctor.findings import context, wrong
from workers.cli.doctor.examining import examine
from workers.cli.doctor.table import HERE, REACH

if TYPE_CHECKING:
    from tests.supabase.project import Project


@pytest.mark.long
async def test_a_released_project_is_well(project: Project) -> None:
    await migrate(project.url())
    pool = await open_pool(project.url(), application_name="test", min_size=0, max_size=4)
    try:
        given = context(pool, database_url=project.url())
        examined = await examine(HERE, given, reach=REACH)
    finally:
        pool.terminate()
    left = {each.check for each in examined if wrong(each.findings)}
    # Nothing runs there, and the server of the tests is not durable.
    assert left == {"processes", "schedules", "server"}
