create or replace function fleet.tally_new_events()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    insert into fleet.event_tallies (provider, state, delta)
    select e.provider, e.state, count(*)
    from new_events as e
    group by e.provider, e.state;
    return null;
end
$$;

revoke all on function fleet.tally_new_events() from public, anon, authenticated, service_role;
comment on function fleet.tally_new_events() is 'Counts the events that a statement stored, by provider and state.';

create or replace trigger inbox_events_are_tallied
after insert on fleet.inbox_events
referencing new table as new_events
for each statement execute function fleet.tally_new_events();
