"""Doctor: what `coinfleet doctor` finds as far as the console may see, each finding with its fix.

It asks the database alone. The console holds no key and no other process's secret, so the rest is
the command's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.findings import Verdict
from workers.cli.doctor.examining import Context, examine
from workers.cli.doctor.report import headline, is_healthy
from workers.cli.doctor.table import HERE, REACH

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Run the checks, and show what they found, the worst first."""
    context = Context(settings=visit.desk.settings, pool=visit.pool, is_of_console=True)
    examined = await examine(HERE, context, reach=REACH)
    by_verdict = {
        verdict: [each for each in examined if each.verdict is verdict] for verdict in Verdict
    }
    return visit.page(
        "doctor.html",
        title="Doctor",
        is_healthy=is_healthy(examined),
        headline=headline(examined),
        by_verdict=by_verdict,
        Verdict=Verdict,
    )
