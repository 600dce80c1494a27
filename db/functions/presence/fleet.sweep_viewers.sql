-- Definer: the worker has no right to the table itself.
create or replace function fleet.sweep_viewers(p_now timestamptz default null, p_limit integer default 200000)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_silent_until timestamptz := coalesce(p_now, clock_timestamp()) - interval '60 seconds';
    v_removed bigint;
begin
    -- A locked row is having a heartbeat at this moment. A row that had one since the snapshot is checked again when
    -- it is locked, and stays.
    delete from public.active_viewers as v
    where v.ctid = any(array(
        select s.ctid
        from public.active_viewers as s
        -- Heard more than a minute ahead of now, by a clock that was ahead: a viewer who still watches is heard
        -- again.
        where s.last_active_at <= v_silent_until or s.last_active_at > v_silent_until + interval '2 minutes'
        limit p_limit
        for update skip locked
    ));
    get diagnostics v_removed = row_count;
    return v_removed;
end
$$;

revoke all on function fleet.sweep_viewers(timestamptz, integer) from public, anon, authenticated, service_role;
comment on function fleet.sweep_viewers(timestamptz, integer) is
    'Removes up to p_limit viewers who were silent for 60 s or longer; returns how many.';
