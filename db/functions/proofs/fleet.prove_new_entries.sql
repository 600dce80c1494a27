-- Definer: the worker has no right to the ledger itself.
create or replace function fleet.prove_new_entries(p_limit integer default 100000)
returns table (entries_checked bigint, violations bigint, detail jsonb, caught_up boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_started_at timestamptz := clock_timestamp();
    v_horizon xid8;
    v_from xid8;
    v_upto xid8;
    v_found record;
begin
    perform pg_advisory_xact_lock(hashtextextended('coinfleet.prove_new_entries', 0));
    -- All transactions below this number have ended, so they can't add entries any more.
    v_horizon := pg_snapshot_xmin(pg_current_snapshot());
    select p.upto_xid into v_from from fleet.proofs as p where p.upto_xid is not null order by p.id desc limit 1;
    v_from := coalesce(v_from, '0'::xid8);
    -- A checkpoint of another cluster means nothing here, even if this cluster has passed its number.
    if v_from > v_horizon
        or (
            v_from > '0'::xid8
            and (select h.cluster_id from fleet.proof_horizon as h) is distinct from fleet.cluster_id()
        )
    then
        return;
    end if;
    update fleet.proof_horizon as h
    set cluster_id = fleet.cluster_id()
    where h.cluster_id is distinct from fleet.cluster_id();

    -- A transaction is proved as a whole, so a slice may be a little larger than p_limit.
    select (e.xact_id::text::bigint + 1)::text::xid8 into v_upto
    from public.ledger_entries as e
    where e.xact_id >= v_from and e.xact_id < v_horizon
    order by e.xact_id
    offset p_limit - 1
    limit 1;
    caught_up := v_upto is null;
    v_upto := coalesce(v_upto, v_horizon);

    select * into v_found from fleet.check_entries(v_from, v_upto);
    insert into fleet.proofs (kind, from_xid, upto_xid, entries_checked, violations, detail, started_at)
    values ('new', v_from, v_upto, v_found.entries_checked, v_found.violations, v_found.detail, v_started_at);
    return query select v_found.entries_checked, v_found.violations, v_found.detail, caught_up;
end
$$;

revoke all on function fleet.prove_new_entries(integer) from public, anon, authenticated, service_role;
comment on function fleet.prove_new_entries(integer) is
    'Proves about p_limit ledger entries after the last checkpoint and moves it. Returns no row if the checkpoint is '
    'of another cluster (after a restore): then only a full proof helps.';
