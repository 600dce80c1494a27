-- Definer: the worker may have calls dated anew, not write the outbox.
create or replace function fleet.date_calls_anew(p_limit integer, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_dated bigint;
begin
    update fleet.provider_calls as c
    set
        next_attempt_at = case
            -- PostgreSQL 15 and 16 can't subtract from an infinite time, which a person may have set.
            when isfinite(c.next_attempt_at) then v_now + greatest(c.next_attempt_at - c.dated_at, interval '0')
            else c.next_attempt_at
        end,
        lease_until = v_now + (c.lease_until - c.dated_at),
        give_up_at = c.give_up_at - greatest(c.created_at - v_now, interval '0'),
        created_at = least(c.created_at, v_now),
        -- Null stays: nobody has tried it yet.
        first_attempt_at = case when c.first_attempt_at > v_now then v_now else c.first_attempt_at end,
        dated_at = v_now
    where c.id = any(array(
        select a.id
        from fleet.provider_calls as a
        where a.state = 'pending' and a.dated_at > v_now + interval '10 seconds'
        order by a.id
        limit p_limit
        for no key update skip locked
    ));
    get diagnostics v_dated = row_count;
    return v_dated;
end
$$;

revoke all on function fleet.date_calls_anew(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.date_calls_anew(integer, timestamptz) is
    'Counts the pauses and leases of up to p_limit open calls from now that a clock which was ahead began: each is as '
    'long as it was meant to be. Returns how many. Costs as much as is open.';
