-- Definer: the worker has no right to gifts, the ledger or the boards themselves.
create or replace function fleet.refresh_leaderboard(p_now timestamptz default null, p_limit integer default 100000)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz;
    v_today date;
    v_known fleet.leaderboard_horizon;
    v_horizon xid8;
    v_from xid8;
    v_upto xid8;
    v_caught_up boolean := true;
begin
    select h.* into v_known from fleet.leaderboard_horizon as h for update;
    v_now := coalesce(p_now, clock_timestamp());
    v_today := (v_now at time zone 'UTC')::date;
    v_from := v_known.upto_xid;
    -- All transactions below this number have ended, so they can't add gifts any more.
    v_horizon := pg_snapshot_xmin(pg_current_snapshot());
    v_upto := v_horizon;
    if v_from is null
        -- The checkpoint is another cluster's: the database was restored.
        or v_from > v_horizon or v_known.cluster_id is distinct from fleet.cluster_id()
        -- The clock was ahead, and sums of periods were removed that have not ended yet.
        or v_known.counted_on > v_today
    then
        v_from := null;
        delete from fleet.leaderboard_sums;
        -- A transaction number that this cluster has not reached is another cluster's, and of long ago.
        v_known.foreign_from_xid := pg_snapshot_xmax(pg_current_snapshot());
        select max(e.id) into v_known.foreign_upto_entry_id
        from public.ledger_entries as e
        where e.xact_id >= v_known.foreign_from_xid;
    else
        -- A transaction is counted as a whole, so a slice may be a little larger than p_limit.
        select (e.xact_id::text::bigint + 1)::text::xid8 into v_upto
        from public.ledger_entries as e
        where e.xact_id >= v_from and e.xact_id < v_horizon
        order by e.xact_id
        offset p_limit - 1
        limit 1;
        v_caught_up := v_upto is null;
        v_upto := coalesce(v_upto, v_horizon);
    end if;
    perform fleet.add_gifts_to_boards(
        v_from, v_upto, v_today, v_known.foreign_from_xid, v_known.foreign_upto_entry_id
    );
    -- Gifts created before the mark are of transactions that began before it, so their numbers are lower.
    if v_known.mark_xid <= v_upto then
        v_known.complete_until := v_known.mark_at;
    end if;
    if v_known.complete_until > v_now then
        v_known.complete_until := null;
    end if;
    if v_known.mark_xid is null or v_known.mark_xid <= v_upto or v_from is null or v_known.mark_at > v_now then
        v_known.mark_xid := pg_snapshot_xmax(pg_current_snapshot());
        v_known.mark_at := v_now;
    end if;
    update fleet.leaderboard_horizon as h
    set
        upto_xid = v_upto,
        cluster_id = fleet.cluster_id(),
        counted_on = v_today,
        foreign_from_xid = v_known.foreign_from_xid,
        foreign_upto_entry_id = v_known.foreign_upto_entry_id,
        complete_until = v_known.complete_until,
        mark_xid = v_known.mark_xid,
        mark_at = v_known.mark_at;
    perform fleet.write_leaderboard(v_today);
    return v_caught_up;
end
$$;

revoke all on function fleet.refresh_leaderboard(timestamptz, integer) from public, anon, authenticated, service_role;
comment on function fleet.refresh_leaderboard(timestamptz, integer) is
    'Counts the gifts among about p_limit new ledger entries and writes what changed on the boards; returns whether '
    'none is left. The cost grows with what is new; without a checkpoint all gifts are counted.';
