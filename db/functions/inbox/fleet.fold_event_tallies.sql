-- Definer: the process roles have no right to the inbox itself.
create or replace function fleet.fold_event_tallies()
returns bigint
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    with folded as (
        delete from fleet.event_tallies as t
        where t.id in (
            select k.id from fleet.event_tallies as k order by k.id limit 50000 for update skip locked
        )
        returning t.provider, t.state, t.delta
    ),
    kept as (
        insert into fleet.event_tallies (provider, state, delta)
        select f.provider, f.state, sum(f.delta)
        from folded as f
        group by f.provider, f.state
        having sum(f.delta) <> 0
    )
    select count(*) from folded
$$;

revoke all on function fleet.fold_event_tallies() from public, anon, authenticated, service_role;
comment on function fleet.fold_event_tallies() is
    'Folds up to 50,000 tally rows into one per provider and state; returns how many it folded.';
