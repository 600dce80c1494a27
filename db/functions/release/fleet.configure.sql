create or replace function fleet.configure(
    p_purchase_limit_usd numeric,
    p_approval_threshold_usd numeric,
    p_purchases_per_minute integer,
    p_max_active_streams_per_viewer integer
)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.settings
    set
        purchase_limit_usd = p_purchase_limit_usd,
        approval_threshold_usd = p_approval_threshold_usd,
        purchases_per_minute = p_purchases_per_minute,
        max_active_streams_per_viewer = p_max_active_streams_per_viewer
    where (purchase_limit_usd, approval_threshold_usd, purchases_per_minute, max_active_streams_per_viewer)
        is distinct from
        (p_purchase_limit_usd, p_approval_threshold_usd, p_purchases_per_minute, p_max_active_streams_per_viewer)
$$;

revoke all on function fleet.configure(numeric, numeric, integer, integer)
from public, anon, authenticated, service_role;
comment on function fleet.configure(numeric, numeric, integer, integer) is
    'Writes the rules that SQL reads; each release calls it with the environment''s values.';
