create or replace function fleet.tally_moved_events()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    insert into fleet.event_tallies (provider, state, delta)
    select m.provider, m.state, sum(m.delta)
    from (
        select o.provider, o.state, -1 as delta from old_events as o
        union all
        select n.provider, n.state, 1 as delta from new_events as n
    ) as m
    group by m.provider, m.state
    having sum(m.delta) <> 0;
    return null;
end
$$;

revoke all on function fleet.tally_moved_events() from public, anon, authenticated, service_role;
comment on function fleet.tally_moved_events() is 'Counts the events that a statement moved from one state to another.';

create or replace trigger inbox_event_moves_are_tallied
after update on fleet.inbox_events
referencing old table as old_events new table as new_events
for each statement execute function fleet.tally_moved_events();
