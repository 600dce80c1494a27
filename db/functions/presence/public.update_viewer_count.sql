-- Definer: clients write their own flags, and may write no counter.
create or replace function public.update_viewer_count()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_stream_ids bigint[];
    v_changes bigint[];
begin
    if tg_op = 'INSERT' then
        select array_agg(c.stream_id), array_agg(c.change) into v_stream_ids, v_changes
        from (
            select j.stream_id, count(*) as change
            from joined as j
            where j.activated_at is not null
            group by j.stream_id
        ) as c;
    elsif tg_op = 'DELETE' then
        select array_agg(c.stream_id), array_agg(c.change) into v_stream_ids, v_changes
        from (
            select g.stream_id, -count(*) as change from gone as g where g.activated_at is not null group by g.stream_id
        ) as c;
    else
        v_stream_ids := array[new.stream_id];
        v_changes := array[case when new.activated_at is null then -1 else 1 end];
    end if;
    perform fleet.change_stream_counters(v_stream_ids, p_viewers => v_changes);
    return null;
end
$$;

revoke all on function public.update_viewer_count() from public, anon, authenticated, service_role;
comment on function public.update_viewer_count() is
    'Keeps live_streams.active_viewer_count equal to the number of the stream''s viewers with all four flags. A '
    'heartbeat that changes no flag doesn''t fire it.';

create or replace trigger trigger_update_viewer_count
after insert on public.active_viewers
referencing new table as joined
for each statement execute function public.update_viewer_count();

create or replace trigger trigger_update_viewer_count_on_delete
after delete on public.active_viewers
referencing old table as gone
for each statement execute function public.update_viewer_count();

-- For each row: a trigger with a transition table can't have a condition on the row, and would run for each
-- heartbeat, and nearly all updates are heartbeats.
create or replace trigger trigger_update_viewer_count_on_switch
after update on public.active_viewers
for each row
when ((new.activated_at is null) <> (old.activated_at is null))
execute function public.update_viewer_count();
