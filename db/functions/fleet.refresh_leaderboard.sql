-- Definer: the worker has no right to gifts, the ledger or the boards themselves.
create or replace function fleet.refresh_leaderboard(p_now timestamptz default null, p_limit integer default 100000)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_today date;
    v_horizon xid8;
    v_from xid8;
    v_upto xid8;
    v_caught_up boolean := true;
begin
    select h.upto_xid into v_from from fleet.leaderboard_horizon as h for update;
    v_today := (coalesce(p_now, clock_timestamp()) at time zone 'UTC')::date;
    -- All transactions below have ended, so no gift of theirs can still appear.
    v_horizon := pg_snapshot_xmin(pg_current_snapshot());
    v_upto := v_horizon;
    -- A checkpoint ahead of the cluster is another cluster's: the database was restored.
    if v_from is null or v_from > v_horizon then
        v_from := null;
        delete from fleet.leaderboard_sums;
    else
        -- A transaction is counted whole, so a slice may be a little larger than asked for.
        select (e.xact_id::text::bigint + 1)::text::xid8 into v_upto
        from public.ledger_entries as e
        where e.xact_id >= v_from and e.xact_id < v_horizon
        order by e.xact_id
        offset p_limit - 1
        limit 1;
        v_caught_up := v_upto is null;
        v_upto := coalesce(v_upto, v_horizon);
    end if;
    perform fleet.count_gifts(v_from, v_upto, v_today);
    update fleet.leaderboard_horizon as h set upto_xid = v_upto where h.upto_xid is distinct from v_upto;
    perform fleet.write_leaderboard(v_today);
    return v_caught_up;
end
$$;

revoke all on function fleet.refresh_leaderboard(timestamptz, integer) from public, anon, authenticated, service_role;
comment on function fleet.refresh_leaderboard(timestamptz, integer) is 'Counts the gifts among about p_limit new ledger entries and writes what changed on the boards; says whether none is left. Cost follows what is new; without a checkpoint all gifts are counted.';
