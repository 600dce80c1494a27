"""A profile's statement as a CSV file: exact numbers, and no cell that a spreadsheet would run.

It is sent as it is read, in pieces, however long it is. If the database fails on the way the
transfer breaks off, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from db.console.statement import list_entries
from workers.console.pages.profiles.statement import find_holder, read_filter, read_given

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from starlette.responses import Response

    from db.connections.pool import Pool
    from db.console.statement import EntryFilter
    from workers.console.visit import Visit

PIECE_ROWS = 1_000
HEADER = (
    *("number", "time_utc", "account", "kind", "amount", "balance_after", "key"),
    *("transaction", "by", "why"),
)
# A spreadsheet takes a cell that begins so for a formula, or drops what stands before it. Where
# people write decimals with a comma, it splits lines at semicolons; some take the wide forms of
# these characters (U+FF1D …) for the same.
_RUNS = re.compile(r"^[\t\r\n]|(?:^|(?<=;))[ \u00a0\u3000]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


async def show(visit: Visit) -> Response:
    """Send what the filter means, the newest first."""
    holder = await find_holder(visit)
    wanted = read_filter(read_given(visit))
    name = f"statement-{holder.profile_id}-{wanted.account}.csv"
    return StreamingResponse(
        _pieces(visit.pool, holder.profile_id, wanted),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def neutral(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it."""
    return _RUNS.sub(r"'\g<0>", text or "")


async def _pieces(pool: Pool, profile_id: UUID, wanted: EntryFilter) -> AsyncIterator[str]:
    yield _written([HEADER])
    before: int | None = None
    while True:
        page = await list_entries(pool, profile_id, wanted, before=before, rows_max=PIECE_ROWS)
        if page.rows:
            yield _written(
                (
                    # Digits, without separators: amounts are exact whatever their size.
                    str(each.seq),
                    each.created_at.isoformat(),
                    wanted.account,
                    neutral(each.kind),
                    str(each.amount),
                    str(each.balance_after),
                    neutral(each.shown_key),
                    str(each.transaction_id),
                    neutral(each.who),
                    neutral(each.why),
                )
                for each in page.rows
            )
        if page.before is None:
            return
        before = page.before


def _written(rows: object) -> str:
    piece = io.StringIO(newline="")
    csv.writer(piece).writerows(rows)  # type: ignore[arg-type]
    return piece.getvalue()
