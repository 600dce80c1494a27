-- Definer: the worker may claim calls, not read or write the outbox.
-- A plan made while there were few rows is kept: without seqscans it is right for many, too.
create or replace function fleet.claim_provider_calls(
    p_worker text,
    p_kinds text[],
    p_limit integer,
    p_at_once integer,
    p_lease_s integer,
    p_now timestamptz default null
)
returns table (id bigint, kind text, key text, request jsonb, attempt integer, is_retry boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_free bigint;
begin
    -- One claim at a time of this provider's, so that all workers together keep to p_at_once.
    if not pg_try_advisory_xact_lock(
        hashtextextended('coinfleet.provider_calls:' || split_part(p_kinds[1], '.', 1), 0)
    ) then
        return;
    end if;
    v_now := coalesce(p_now, clock_timestamp());
    select least(p_limit, p_at_once - count(*)) into v_free
    from fleet.provider_calls as c
    where c.state = 'pending' and c.kind = any(p_kinds) and c.lease_until > v_now
        -- No lease is longer: a clock that was ahead dated this one.
        and c.lease_until <= v_now + make_interval(secs => p_lease_s) + interval '10 seconds';
    if v_free <= 0 then
        return;
    end if;
    -- No pause and no lease is that long: a clock that was ahead dated them. fleet.date_calls_anew finds the rest.
    update fleet.provider_calls as c
    set next_attempt_at = v_now, dated_at = v_now
    where c.id = any(array(
        select d.id
        from unnest(p_kinds) as k (kind)
        cross join lateral (
            -- Of this kind, by its index.
            select a.id
            from fleet.provider_calls as a
            where a.state = 'pending' and a.kind = k.kind
                and a.next_attempt_at
                > v_now + case k.kind when 'app.deliver' then interval '25 hours' else interval '2 hours' end
                -- A worker may be making it: its lease goes on.
                and not coalesce(a.lease_until is not null and a.dated_at > v_now + interval '10 seconds', false)
            limit 100
            for no key update skip locked
        ) as d
    ));
    return query
    with due as (
        select d.id
        from unnest(p_kinds) as k (kind)
        cross join lateral (
            -- The first of this kind, by its index.
            select c.id, c.next_attempt_at
            from fleet.provider_calls as c
            where c.state = 'pending' and c.kind = k.kind and c.next_attempt_at <= v_now
            order by c.next_attempt_at
            limit v_free
            for no key update skip locked
        ) as d
        where not exists (select from fleet.call_pauses as p where p.kind = k.kind)
        order by d.next_attempt_at
        limit v_free
    )
    update fleet.provider_calls as c
    set
        attempts = c.attempts + 1,
        worker = p_worker,
        lease_until = v_now + make_interval(secs => p_lease_s),
        next_attempt_at = v_now + make_interval(secs => p_lease_s),
        dated_at = v_now,
        first_attempt_at = coalesce(c.first_attempt_at, v_now)
    from due
    where c.id = due.id
    returning c.id, c.kind, c.key, c.request, c.attempts, c.first_attempt_at <> v_now;
end
$$;

revoke all on function fleet.claim_provider_calls(text, text[], integer, integer, integer, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.claim_provider_calls(text, text[], integer, integer, integer, timestamptz) is
    'Leases up to p_limit due calls of these kinds, which are one provider''s, to a worker, so that all workers '
    'together make at most p_at_once of them. A call that is not finished within p_lease_s is due again. is_retry: it '
    'was tried before, so the provider may have done it.';
