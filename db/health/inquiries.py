"""What stores ask about purchases, for `coinfleet status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from db.connections.pool import Pool


@dataclass(frozen=True, slots=True)
class OpenInquiries:
    """Questions of one provider whose time is not over, and the one that ends first."""

    provider: str
    inquiries: int
    deadline: datetime
    asked_at: datetime
    inquiry: int


async def read_open_inquiries(pool: Pool) -> list[OpenInquiries]:
    """Return what stores ask now and nobody answers by itself, by provider.

    What costs nothing (sandbox) is left out.
    """
    rows = await pool.fetch(
        "select i.provider, count(*), min(i.deadline),"
        " (array_agg(i.asked_at order by i.deadline))[1],"
        " (array_agg(i.id order by i.deadline))[1]"
        " from fleet.open_inquiries() as i"
        " where i.answers_itself_at is null and not i.is_sandbox"
        " group by i.provider order by i.provider"
    )
    return [OpenInquiries(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class LateAnswers:
    """Answers of one provider that were not taken until their deadline, within the last day."""

    provider: str
    answers: int
    inquiry: int
    last_error: str | None


async def read_late_answers(pool: Pool) -> list[LateAnswers]:
    """Return what should have been answered and was not, by provider; sandbox left out.

    Whether somebody tried or nobody did. What could not be answered is left out, and what went
    back whole, about which nothing was left to say.
    """
    rows = await pool.fetch(
        "select provider, answers, inquiry, last_error from fleet.late_answers()"
    )
    return [LateAnswers(*row) for row in rows]


class InquiryCount(msgspec.Struct, frozen=True):
    """Open questions of one provider, and the seconds until the first deadline."""

    provider: str
    inquiries: int
    ends_in_s: float
