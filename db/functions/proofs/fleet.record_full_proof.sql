-- Definer: the worker has no right to the table itself.
create or replace function fleet.record_full_proof(
    p_started_at timestamptz,
    p_upto_xid xid8,
    p_violations bigint,
    p_detail jsonb
)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    update fleet.proof_horizon as h
    set cluster_id = fleet.cluster_id()
    where h.cluster_id is distinct from fleet.cluster_id();

    insert into fleet.proofs (kind, upto_xid, violations, detail, started_at)
    values ('full', p_upto_xid, p_violations, p_detail, p_started_at)
$$;

revoke all on function fleet.record_full_proof(timestamptz, xid8, bigint, jsonb)
from public, anon, authenticated, service_role;
comment on function fleet.record_full_proof(timestamptz, xid8, bigint, jsonb) is
    'Records what the views of the schema invariants found. The continuous proof goes on from p_upto_xid, the oldest '
    'transaction that ran when the full proof began.';
