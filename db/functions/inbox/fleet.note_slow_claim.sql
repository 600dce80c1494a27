-- While some session keeps an old snapshot, no vacuum removes what the index of pending events says of those that were
-- applied since, and a claim that reads it from its beginning passes over all of them: 0.1 s for 100,000. So a session
-- whose claim took long begins the next ones where that one found the first event, and looks at the whole again after
-- twenty times as long. What became pending below (a replay, the other half of a payment) is seen then.
create or replace function fleet.note_slow_claim(p_took interval)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
declare
    -- Events of transactions that began earlier and commit later have lower ids.
    c_late constant bigint := 1000;
    c_longest constant interval := interval '10 seconds';
    v_first_id bigint;
begin
    select e.id into v_first_id from fleet.inbox_events as e where e.state = 'pending' order by e.id limit 1;
    if v_first_id is null then
        select max(e.id) into v_first_id from fleet.inbox_events as e;
    end if;
    perform set_config(
        'coinfleet.claims_from',
        greatest(coalesce(v_first_id, 0) - c_late, 0)
        || ' ' || extract(epoch from clock_timestamp() + least(p_took * 20, c_longest)),
        false
    );
end
$$;

revoke all on function fleet.note_slow_claim(interval) from public, anon, authenticated, service_role;
comment on function fleet.note_slow_claim(interval) is
    'Has the claims of this session begin near the first pending event, for twenty times as long as this one took.';
