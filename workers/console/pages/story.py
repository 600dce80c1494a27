"""The story of anything with an id, as `coinfleet explain` tells it, without reading a payload.

Of an event that was not decided yet the payment is then unknown: only its payload names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.operating.stories import tell
from workers.cli.explain.words import lines

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from db.operating.subjects import Subject


async def tell_lines(pool: Pool, subject: Subject) -> list[str]:
    """Return the lines of a story, the oldest first, then what holds now."""
    async with pool.acquire() as connection:
        return list(lines(await tell(connection, subject)))
