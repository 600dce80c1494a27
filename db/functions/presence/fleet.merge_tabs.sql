create or replace function fleet.merge_tabs(p_viewer public.active_viewers, p_beats jsonb, p_now timestamptz)
returns table (tabs jsonb, is_watching boolean, last_active_at timestamptz)
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_known jsonb := p_viewer.tabs;
begin
    if p_beats is null then
        return query select null::jsonb, false, p_now;
        return;
    end if;
    -- A heartbeat without a tab's name replaces what was known of all tabs. While it watches, it counts as one of the
    -- tabs that others can't undo.
    if p_beats ? '' then
        v_known := null;
    elsif v_known is null and p_viewer.activated_at is not null then
        v_known := jsonb_build_object('', jsonb_build_array(extract(epoch from p_viewer.last_active_at), true));
    end if;
    -- A time ahead of the clock (it was set back, or a standby took over) counts if it is at most 15 seconds ahead,
    -- the time in which a tab is heard again.
    return query
    select
        jsonb_object_agg(t.tab, jsonb_build_array(extract(epoch from t.heard_at), t.is_watching)),
        bool_or(t.is_watching),
        coalesce(least(max(t.heard_at) filter (where t.is_watching), p_now), p_now)
    from (
        select h.tab, h.heard_at, h.is_watching
        from (
            select
                b.key as tab, p_now as heard_at, coalesce(b.value -> 1, b.value) = 'true' as is_watching,
                true as is_new
            from jsonb_each(p_beats) as b
            union all
            select k.key, to_timestamp((k.value ->> 0)::double precision), k.value -> 1 = 'true', false
            from jsonb_each(v_known) as k
            where not p_beats ? k.key
        ) as h
        where h.heard_at > p_now - interval '60 seconds' and h.heard_at <= p_now + interval '15 seconds'
        -- A gateway's call may name more than 8 tabs, all heard at one time: none of them is the oldest, and one that
        -- watches is kept before one that does not.
        order by h.is_new desc, h.heard_at desc, h.is_watching desc
        limit 8
    ) as t;
end
$$;

revoke all on function fleet.merge_tabs(public.active_viewers, jsonb, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.merge_tabs(public.active_viewers, jsonb, timestamptz) is
    'Adds beats to the tabs that are known of a viewer on a stream, as heard at p_now. p_beats is {"<tab>": whether '
    'all four flags hold} or has the form of active_viewers.tabs; null if the heartbeat names no tab. Returns the '
    'newest 8 tabs heard within 60 s, whether one of them watches, and when the newest that watches was heard (p_now '
    'if none does).';
