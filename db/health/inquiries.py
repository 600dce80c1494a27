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
        "select i.provider, count(*), (array_agg(i.id order by i.deadline desc))[1],"
        " (array_agg(c.last_error order by i.deadline desc))[1]"
        " from fleet.store_inquiries as i cross join fleet.settings as g"
        " left join fleet.provider_calls as c on c.key = fleet.answer_key(i.provider, i.inquiry_id)"
        " left join fleet.payment_keys as k on k.provider = i.provider and k.key = i.payment_key"
        " left join fleet.store_payments as s on s.payment_id = k.payment_id"
        " where i.deadline between clock_timestamp() - interval '1 day' and clock_timestamp()"
        " and not i.is_sandbox and case"
        " when c.id is not null then c.state <> 'done' or c.result ->> 'note' = 'too_late'"
        " when i.provider = 'apple'"
        " and (not g.apple_customers_consented or s.provider_payment_id is null) then false"
        " else not exists (select from public.coin_purchases as cp"
        " where cp.payment_id = k.payment_id and cp.status in ('refunded', 'chargeback'))"
        " and coalesce(s.reversed_milli_percent, 0) < 100000 end"
        " group by i.provider order by i.provider"
    )
    return [LateAnswers(*row) for row in rows]


class InquiryCount(msgspec.Struct, frozen=True):
    """Open questions of one provider, and the seconds until the first deadline."""

    provider: str
    inquiries: int
    ends_in_s: float
