"""What stores ask about purchases, for `coinfleet status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Pool


@dataclass(frozen=True, slots=True)
class OpenInquiries:
    """Questions of one provider whose time is not over, and the one that ends first."""

    provider: str
    inquiries: int
    deadline: datetime
    asked_at: datetime
    inquiry_id: str


async def read_open_inquiries(pool: Pool) -> list[OpenInquiries]:
    """Return what stores ask now, by provider; what costs nothing (sandbox) is left out."""
    rows = await pool.fetch(
        "select i.provider, count(*), min(i.deadline),"
        " (array_agg(i.asked_at order by i.deadline))[1],"
        " (array_agg(i.inquiry_id order by i.deadline))[1]"
        " from fleet.store_inquiries as i"
        " where i.deadline > clock_timestamp() and not i.is_sandbox"
        " group by i.provider order by i.provider"
    )
    return [OpenInquiries(*row) for row in rows]
