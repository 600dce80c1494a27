"""The questions of the story of a gift, a profile or a stream, as those in story_queries.py."""

# ruff: noqa: S608 -- constants are put together here; what was typed is always a parameter
from __future__ import annotations

from typing import TYPE_CHECKING

from db.operating.story_queries import CALL, ENTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keys: gifts.
ABOUT_GIFTS: Mapping[str, str] = {
    "gift": """
        select
            g.created_at as at, g.id, g.sender_id, g.recipient_id, g.stream_id, g.gift_type,
            g.quantity, g.coin_amount, g.streamer_revenue, g.platform_revenue
        from public.gifts as g
        where g.id = any($1)
        order by g.created_at desc
    """,
}
ENTRIES_OF_GIFTS: Mapping[str, str] = {
    # The first entry of a gift is found by its key, the others by their profile and its moment.
    "entry": f"""
        select r.*
        from public.gifts as g
        join public.ledger_entries as f
            on f.idempotency_key = 'gift:' || g.provider_event_id and f.leg = 0
        cross join lateral (
            {ENTRY}
            where l.profile_id = any(array[g.sender_id, g.recipient_id])
                and l.created_at = f.created_at and l.transaction_id = f.transaction_id
            limit 10
        ) as r
        where g.id = any($1)
        order by r.id desc
    """,
    "message": f"""
        {CALL}
        where c.key = any(array(
            select 'gift-applied-' || g.id from public.gifts as g where g.id = any($1)
        ))
        order by c.id desc
    """,
}

# Keys: profiles; but for "balance" a single one, which the planner can look up in an index that is
# in the order of time. What is asked for several it would read whole, and sort.
ABOUT_PROFILES: Mapping[str, str] = {
    "signed_up": """
        select pr.created_at as at, null::bigint as id, pr.id as profile_id
        from public.profiles as pr
        where pr.id = any($1)
        order by pr.created_at desc
    """,
    "purchase": """
        select
            p.purchased_at as at, p.id, p.profile_id, p.provider, p.provider_payment_id, p.sku,
            p.quantity, p.coin_amount, p.amount_minor, p.currency, p.usd_amount, p.status,
            fleet.major_amount(p.amount_minor, p.currency) as amount,
            p.hold_reason, p.decision, p.refunded_coins, p.granted_at, p.requires_approval
        from public.coin_purchases as p
        where p.profile_id = ($1::uuid[])[1]
        order by p.purchased_at desc
    """,
    "entry": f"{ENTRY} where l.profile_id = ($1::uuid[])[1] order by l.created_at desc",
    "stream": """
        select
            s.started_at as at, s.id, s.profile_id, s.live_available, s.is_published,
            s.active_viewer_count, s.recent_gift_coins, s.ended_at
        from public.live_streams as s
        where s.profile_id = ($1::uuid[])[1]
        order by s.id desc
    """,
    "adjustment": """
        select a.adjusted_at as at, null::bigint as id, a.profile_id, a.amount, a.who, a.reason
        from fleet.adjustments as a
        where a.profile_id = ($1::uuid[])[1]
        order by a.adjusted_at desc
    """,
    "erased": """
        select e.erased_at as at, e.id, e.profile_id, e.requested_by, e.reason
        from fleet.erasures as e
        where e.profile_id = ($1::uuid[])[1]
        order by e.erased_at desc
    """,
    "balance": """
        select
            null::timestamptz as at, null::bigint as id, pr.id as profile_id, pr.coin_balance,
            pr.earnings_balance, pr.coin_seq, pr.earnings_seq,
            (select z.coins from fleet.frozen_coins(array[pr.id]) as z) as frozen_coins
        from public.profiles as pr
        where pr.id = any($1)
        order by pr.id
    """,
}

# Keys: a single stream, see above.
ABOUT_STREAMS: Mapping[str, str] = {
    "stream": """
        select
            s.started_at as at, s.id, s.profile_id, s.live_available, s.is_published,
            s.active_viewer_count, s.recent_gift_coins, s.ended_at
        from public.live_streams as s
        where s.id = any($1)
        order by s.id desc
    """,
    "gift": """
        select
            g.created_at as at, g.id, g.sender_id, g.recipient_id, g.stream_id, g.gift_type,
            g.quantity, g.coin_amount, g.streamer_revenue, g.platform_revenue
        from public.gifts as g
        where g.stream_id = ($1::bigint[])[1]
        order by g.created_at desc
    """,
}
