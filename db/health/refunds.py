"""What `coinfleet status` asks of rejected payments: those whose money has not gone back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from db.connections.pool import Pool

LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class MissingRefund:
    """A payment that a person rejected, and that is not refunded: of a purchase, or of an event.

    `coins` are those of the purchase. `refund_status` is set if the provider took the refund and it
    came to nothing.
    """

    purchase_id: int | None
    event_id: int | None
    provider: str
    coins: int | None
    age_s: float
    call_id: int
    call_state: str
    call_error: str | None
    refund_id: str | None
    refund_status: str | None


# Each side by its index of what is open: the cost grows with that alone.
_MISSING = """
with rejected as (
    select
        cp.id as purchase_id, null::bigint as event_id, cp.provider, cp.coin_amount, d.id,
        d.decided_at
    from public.coin_purchases as cp
    join fleet.decisions as d on d.purchase_id = cp.id and d.outcome = 'refund_requested'
    where cp.granted_at is null and cp.status = 'pending' and cp.refund_requested
    union all
    select null, e.id, e.provider, null, d.id, d.decided_at
    from fleet.inbox_events as e
    join fleet.decisions as d on d.event_id = e.id and d.outcome = 'refund_requested'
    where e.state = 'held'
)
select
    r.purchase_id, r.event_id, r.provider, r.coin_amount,
    extract(epoch from clock_timestamp() - r.decided_at)::float8,
    c.id, c.state, c.last_error, c.result ->> 'refund_id', f.status
from rejected as r
join fleet.provider_calls as c on c.key = 'coinfleet:refund:' || r.id
left join fleet.refunds as f
    on f.refund_id = c.result ->> 'refund_id' and f.provider = c.provider
        and f.status in ('failed', 'canceled')
where r.decided_at < clock_timestamp() - $1::interval
    or (f.refund_id is not null and c.state = 'done')
order by r.decided_at, r.id
limit $2
"""


async def read_missing_refunds(pool: Pool, *, longer_than: timedelta) -> list[MissingRefund]:
    """Return up to LISTED_MAX rejected payments whose refund failed, or is missing for so long."""
    return [MissingRefund(*row) for row in await pool.fetch(_MISSING, longer_than, LISTED_MAX)]
