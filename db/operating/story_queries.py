"""The questions of a payment's story, and of its events and calls.

Each takes an array of keys as $1, and returns the newest rows first.
Each row has a time `at`, null if it holds now. Sizes are bounded by the caller, and by the two
questions that look through a buyer's entries.
"""

# ruff: noqa: S608 -- constants are put together here; what was typed is always a parameter
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A buyer's entries since the purchase that are looked through for its reversals.
ENTRIES_MAX = 10_000

_EVENT = """
    select
        e.received_at as at, e.id, e.provider, e.provider_event_id, e.event_type, e.state, e.reason,
        e.processed_at, e.attempts, e.starts, e.last_error, fleet.has_payload(e.id) as has_payload,
        s.setbacks, j.judgements, j.judged_at, h.profile_id, h.sku, h.quantity
    from fleet.inbox_events as e
    left join fleet.set_aside_events as s on s.event_id = e.id
    left join fleet.hold_judgements as j on j.event_id = e.id
    left join fleet.payment_halves as h
        on h.provider = e.provider and h.provider_event_id = e.provider_event_id
"""
# Joined purchases stand under the payment that has their names.
_PURCHASES = """
    select p.id
    from public.coin_purchases as p
    where p.payment_id = any($1)
    union
    select j.purchase_id from fleet.joined_purchases as j where j.payment_id = any($1)
"""
ENTRY = """
    select
        l.created_at as at, l.id, l.transaction_id, l.profile_id, l.account, l.amount,
        l.balance_after, l.reason, l.idempotency_key
    from public.ledger_entries as l
"""

CALL = """
    select
        c.created_at as at, c.id, c.kind, c.key, c.state, c.attempts, c.finished_at,
        c.next_attempt_at, c.last_error
    from fleet.provider_calls as c
"""
# Few notes name one event or call. In a query of their own, because the planner would else walk
# back through all notes until it has found as many as are shown.
NOTES_OF_EVENTS = """
    select n.acted_at, n.id, n.who, n.typed_by, n.reason, n.action, n.detail, n.event_ids
    from fleet.operator_actions as n
    where n.event_ids && $1::bigint[]
    offset 0
"""
NOTES_OF_CALLS = """
    select n.acted_at, n.id, n.who, n.typed_by, n.reason, n.action, n.call_ids
    from fleet.operator_actions as n
    where n.call_ids && $1::bigint[]
    offset 0
"""
# The key of a message about a hold may end with a transaction's number: then it is found by what
# stands before that. The character after "-" is ".".
_HOLDS_TOLD = f"""
    select m.*
    from names as n
    cross join lateral (
        {CALL}
        where (starts_with(c.key, 'purchase-held-') or starts_with(c.key, 'purchase-rejected-'))
            and c.key ~>=~ (n.name || '-') and c.key ~<~ (n.name || '.')
        order by c.key using ~<~
        limit 100
    ) as m
    union all
    {CALL} where c.key = any(array(select n.name from names as n))
    order by 2 desc
"""
_DECISION = """
    select
        d.decided_at as at, d.id, d.purchase_id, d.event_id, d.verb, d.outcome, d.who, d.reason,
        d.hold_reason, d.coins, d.profile_id
    from fleet.decisions as d
"""

# Keys: payments. An event that has not been decided, or whose payment was merged into another
# later, is found by what it told.
ABOUT_PAYMENTS: Mapping[str, str] = {
    "name": """
        select null::timestamptz as at, k.payment_id as id, k.provider, k.key
        from fleet.payment_keys as k
        where k.payment_id = any($1)
        order by k.provider, k.key
    """,
    "event": f"""
        {_EVENT}
        where e.id = any(array(
            (
                select i.id from fleet.inbox_events as i where i.payment_id = any($1)
                order by i.id desc limit 1000
            )
            union
            (
                select i.id
                from fleet.payment_halves as t
                join fleet.inbox_events as i
                    on i.provider = t.provider and i.provider_event_id = t.provider_event_id
                where t.payment_id = any($1)
                limit 1000
            )
            union
            select i.id
            from public.coin_purchases as p
            join fleet.inbox_events as i
                on i.provider = p.provider and i.provider_event_id = p.provider_event_id
            where p.id in ({_PURCHASES})
        ))
        order by e.received_at desc
    """,
    "purchase": f"""
        select
            p.created_at as at, p.id, p.profile_id, p.provider, p.provider_payment_id, p.sku,
            p.quantity, p.coin_amount, p.amount_minor, p.currency, p.usd_amount, p.status,
            fleet.major_amount(p.amount_minor, p.currency) as amount,
            p.hold_reason, p.decision, p.refunded_coins, p.granted_at, p.requires_approval
        from public.coin_purchases as p
        where p.id in ({_PURCHASES})
        order by p.created_at desc
    """,
    "grant": f"""
        select p.granted_at as at, p.id, p.profile_id, p.coin_amount
        from public.coin_purchases as p
        where p.id in ({_PURCHASES}) and p.granted_at is not null
        order by p.granted_at desc
    """,
    "refund": """
        select
            r.created_at as at, r.payment_id as id, r.refund_id, r.amount_minor, r.status,
            r.undone_at, p.currency, fleet.major_amount(r.amount_minor, p.currency) as amount
        from fleet.refunds as r
        left join lateral (
            select min(c.currency) as currency
            from public.coin_purchases as c
            where c.payment_id = r.payment_id
        ) as p on true
        where r.payment_id = any($1)
        order by r.created_at desc nulls last
    """,
    "dispute": """
        select
            d.told_at as at, d.payment_id as id, d.dispute_id, d.amount_minor, d.currency, d.status,
            d.payment_rate, d.due_at, fleet.major_amount(d.amount_minor, d.currency) as amount
        from fleet.disputes as d
        where d.payment_id = any($1)
        order by d.told_at desc nulls last
    """,
    "freeze": """
        select
            f.opened_at as at, f.payment_id as id, f.source, f.source_id, f.released_at,
            f.released_by, f.release_reason
        from fleet.freezes as f
        where f.payment_id = any($1)
        order by f.opened_at desc
    """,
    "refunded_so_far": """
        select
            m.refund_total_at as at, m.id, m.refund_total_minor, p.currency,
            fleet.major_amount(m.refund_total_minor, p.currency) as amount
        from fleet.payments as m
        left join lateral (
            select min(c.currency) as currency
            from public.coin_purchases as c
            where c.payment_id = m.id
        ) as p on true
        where m.id = any($1) and m.refund_total_minor > 0
        order by m.id desc
    """,
    "store": """
        select
            null::timestamptz as at, t.payment_id as id, t.provider, t.store_app, t.quantity,
            t.reversed_milli_percent, t.is_sandbox, t.is_acknowledged, t.is_consumed, t.told_at
        from fleet.store_payments as t
        where t.payment_id = any($1)
        order by t.payment_id
    """,
    "voided": """
        select v.told_at as at, v.payment_id as id, v.voided_quantity
        from fleet.store_voids as v
        where v.payment_id = any($1)
        order by v.told_at desc
    """,
    "foreign": """
        select null::timestamptz as at, m.id
        from fleet.payments as m
        where m.id = any($1) and m.is_foreign
        order by m.id desc
    """,
    "decision": f"""
        {_DECISION}
        where d.purchase_id in ({_PURCHASES})
        order by d.id desc
    """,
    "call": f"""
        {CALL}
        where c.key = any(array(
            select 'coinfleet:refund:' || d.id
            from fleet.decisions as d
            where d.purchase_id in ({_PURCHASES})
        ))
        order by c.id desc
    """,
    "message": f"""
        with names as (
            select unnest(array[
                'purchase-credited-' || p.id, 'purchase-held-' || p.id, 'purchase-rejected-' || p.id
            ]) as name
            from ({_PURCHASES}) as p
            union all
            select unnest(array[
                'purchase-held-payment-' || i.id, 'purchase-rejected-payment-' || i.id
            ])
            from unnest($1::bigint[]) as i (id)
        )
        {_HOLDS_TOLD}
    """,
    "joined": """
        select
            j.joined_at as at, j.purchase_id as id, j.joined_by, j.is_taken_back, j.closed_at,
            j.closed_by, j.closed_reason
        from fleet.joined_purchases as j
        where j.payment_id = any($1)
        order by j.joined_at desc
    """,
}

# Keys: payments.
ENTRIES_OF_PURCHASES: Mapping[str, str] = {
    "entry": f"""
        {ENTRY}
        where l.idempotency_key = any(array(
            select 'purchase:' || p.provider || ':' || p.provider_payment_id
            from public.coin_purchases as p
            where p.id in ({_PURCHASES})
        )) and l.leg = 0
        order by l.id desc
    """,
}
ENTRIES_OF_REVERSALS: Mapping[str, str] = {
    "entry": f"""
        select r.*
        from public.coin_purchases as p
        cross join lateral (
            select f.seq
            from public.ledger_entries as f
            where f.profile_id = p.profile_id and f.account = 'coins'
                and f.created_at >= p.granted_at
            order by f.created_at
            limit 1
        ) as b
        -- By numbers, which have no gaps: a limit would come after the sorting of all that follow.
        cross join lateral (
            {ENTRY}
            where l.profile_id = p.profile_id and l.account = 'coins'
                and l.seq >= b.seq and l.seq < b.seq + {ENTRIES_MAX}
            offset 0
        ) as r
        where p.id in ({_PURCHASES}) and p.granted_at is not null
            and starts_with(r.idempotency_key, 'reversal:' || p.id || ':')
        order by r.id desc
    """,
}

# Keys: purchase and transaction, as 7-42.
MESSAGES_OF_REVERSALS: Mapping[str, str] = {
    "message": f"""
        {CALL}
        where c.key = any(array(
            select unnest(array['purchase-reversed-' || r.name, 'purchase-reinstated-' || r.name])
            from unnest($1::text[]) as r (name)
        ))
        order by c.id desc
    """,
}

# Keys: events.
ABOUT_EVENTS: Mapping[str, str] = {
    "event": f"{_EVENT} where e.id = any($1) order by e.received_at desc",
}
# Keys: events.
AROUND_EVENTS: Mapping[str, str] = {
    # Of a gift that was refused, or a payment without a name.
    "message": f"""
        with names as (
            select unnest(array[
                'gift-rejected-' || i.id, 'purchase-held-event-' || i.id,
                'purchase-rejected-event-' || i.id
            ]) as name
            from unnest($1::bigint[]) as i (id)
        )
        {_HOLDS_TOLD}
    """,
    "decision": f"{_DECISION} where d.event_id = any($1) order by d.id desc",
    "found": """
        select f.found_at as at, f.event_id as id, f.provider, f.made_at, f.is_missed
        from fleet.found_events as f
        where f.event_id = any($1)
        order by f.event_id desc
    """,
    "call": f"""
        {CALL}
        where c.event_id = any($1) or c.key = any(array(
            select 'coinfleet:refund:' || d.id from fleet.decisions as d where d.event_id = any($1)
            union all
            select fleet.answer_key(q.provider, q.inquiry_id)
            from fleet.store_inquiries as q
            where q.event_id = any($1)
        ))
        order by c.id desc
    """,
    "inquiry": """
        select
            q.asked_at as at, q.id, q.provider, q.deadline, q.reason, q.is_sandbox
        from fleet.store_inquiries as q
        where q.event_id = any($1)
        order by q.asked_at desc
    """,
    "replay": f"""
        select
            a.acted_at as at, a.id, a.who, a.typed_by, a.reason,
            cardinality(a.event_ids) as events
        from ({NOTES_OF_EVENTS}) as a
        where a.action <> 'purchases answer'
        order by a.id desc
    """,
    "answer": f"""
        select
            a.acted_at as at, a.id, a.who, a.typed_by, a.reason, a.detail ->> 'choice' as choice
        from ({NOTES_OF_EVENTS}) as a
        where a.action = 'purchases answer'
        order by a.id desc
    """,
}

# Keys: calls.
ABOUT_CALLS: Mapping[str, str] = {"call": f"{CALL} where c.id = any($1) order by c.id desc"}
REPLAYS_OF_CALLS: Mapping[str, str] = {
    "replayed_call": f"""
        select
            a.acted_at as at, a.id, a.who, a.typed_by, a.reason, a.action,
            cardinality(a.call_ids) as calls
        from ({NOTES_OF_CALLS}) as a
        order by a.id desc
    """,
}

# The payment of a purchase, and the one that it turned out to belong to.
PAYMENTS_OF_PURCHASE = """
    select array(
        select p.payment_id from public.coin_purchases as p where p.id = $1
        union
        select j.payment_id from fleet.joined_purchases as j where j.purchase_id = $1
    )
"""
# $2 are the names of the event's payment, as its interpretation tells them.
PAYMENTS_OF_EVENT = """
    select k.payment_id
    from fleet.inbox_events as e
    join fleet.payment_keys as k on k.payment_id = e.payment_id
    where e.id = $1
    union
    select k.payment_id
    from fleet.inbox_events as e
    join fleet.payment_keys as k on k.provider = e.provider and k.key = any($2::text[])
    where e.id = $1
    union
    select h.payment_id
    from fleet.inbox_events as e
    join fleet.payment_halves as h
        on h.provider = e.provider and h.provider_event_id = e.provider_event_id
    where e.id = $1
    union
    select p.payment_id
    from fleet.inbox_events as e
    join public.coin_purchases as p
        on p.provider = e.provider and p.provider_event_id = e.provider_event_id
    where e.id = $1
"""
