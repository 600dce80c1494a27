"""What stores ask about purchases: the open questions, and a person's answer.

For a person's own session, and for workers, which answer Apple when no person does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from db.approvals.decisions import refusals

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An open question with what is known of its purchase, which may be nothing.

    `blocked_by` is why nobody can answer it. From `answers_itself_at` on a worker does.
    `ends_in_s` and `age_s` are by the database's clock.
    """

    id: int
    provider: str
    inquiry_id: str
    event_id: int
    store_app: str
    reason: str | None
    asked_at: datetime
    deadline: datetime
    is_sandbox: bool
    purchase_id: int | None
    profile_id: UUID | None
    status: str | None
    hold_reason: str | None
    decision: str | None
    coin_amount: int | None
    refunded_coins: int | None
    amount: Decimal | None
    currency: str | None
    is_delivered: bool
    consumed_milli_percent: int | None
    blocked_by: Literal["no_consent", "unknown_purchase", "unknown_order"] | None
    answers_itself_at: datetime | None
    age_s: float
    ends_in_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer, and the call that brings it to the store."""

    provider: str
    choice: str
    deadline: datetime
    call_id: int


@dataclass(frozen=True, slots=True)
class AnsweredByItself:
    """A question that a worker has answered, and what Apple is told of the delivery."""

    id: int
    event_id: int
    delivery_status: str


_COLUMNS = ", ".join(name for name in Inquiry.__slots__ if name not in {"age_s", "ends_in_s"})


async def read_open_inquiries(connection: Connection | Pool, *, limit: int) -> list[Inquiry]:
    """Return what stores ask, the first deadline first."""
    rows = await connection.fetch(
        f"select {_COLUMNS},"  # noqa: S608 -- names of ours
        " extract(epoch from clock_timestamp() - asked_at)::float8 as age_s,"
        " extract(epoch from deadline - clock_timestamp())::float8 as ends_in_s"
        " from fleet.open_inquiries() limit $1",
        limit,
    )
    return [Inquiry(**row) for row in rows]


async def answer_inquiry(
    connection: Connection,
    inquiry_id: int,
    choice: str,
    *,
    reason: str,
    typed_by: str,
    who: str | None = None,
) -> Answered:
    """Answer a question as the person whose session this is, or as `who`.

    Raises DecidedBefore, DecidedMeanwhile, DecisionRefused.
    """
    with refusals():
        row = await connection.fetchrow(
            "select provider, choice, deadline, call_id"
            " from fleet.answer_inquiry($1, $2, coalesce($5, session_user::text), $3, $4)",
            inquiry_id,
            choice,
            reason,
            typed_by,
            who,
        )
    assert row is not None  # noqa: S101 -- or it had been refused
    return Answered(**row)


async def answer_due_inquiries(
    database: Pool | Connection, *, limit: int
) -> list[AnsweredByItself]:
    """Have up to `limit` questions answered that no person answers; return them."""
    rows = await database.fetch("select * from fleet.answer_due_inquiries($1)", limit)
    return [AnsweredByItself(**row) for row in rows]
