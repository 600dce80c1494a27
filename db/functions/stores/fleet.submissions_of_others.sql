-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.submissions_of_others(p_facts fleet.fact[])
returns setof bigint
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select f.event_id
    from unnest(p_facts) as f
    join (
        -- Whom the facts name as the buyer of each payment, and who submitted it first.
        select
            t.payment_id,
            min(t.profile_id::text)::uuid as named,
            coalesce(bool_or(t.buyer_unreadable), false) as is_unreadable,
            (array_agg(p.id order by t.ordinality) filter (where p.id is not null))[1] as submitter
        from unnest(p_facts) with ordinality as t
        left join public.profiles as p on p.id = t.submitted_by
        where t.kind = 'store_purchase'
        group by t.payment_id
        having count(t.submitted_by) > 0
    ) as n on n.payment_id = f.payment_id
    -- A subquery per fact: the plan of a join that was made for few rows would read all of them at each batch.
    left join lateral (select k.* from fleet.store_payments as k where k.payment_id = f.payment_id limit 1) as s on true
    left join lateral (
        select p.profile_id from public.coin_purchases as p where p.payment_id = f.payment_id limit 1
    ) as cp on true
    where f.kind = 'store_purchase'
        -- Of this event a person has said whose payment it tells of.
        and not exists (select 1 from fleet.decisions as d where d.event_id = f.event_id and d.verb = 'attribute')
        and f.submitted_by <> coalesce(
            s.buyer_id,
            n.named,
            cp.profile_id,
            case when not n.is_unreadable and not coalesce(s.buyer_unreadable, false) then n.submitter end
        )
$$;

revoke all on function fleet.submissions_of_others(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.submissions_of_others(fleet.fact[]) is
    'The events by which clients submitted purchases that are somebody else''s: whom a person named, or the store, or '
    'who submitted it first. The caller holds the locks of payments and profiles.';
