create or replace function fleet.apply_facts(p_facts fleet.fact[], p_batch_ids bigint[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    return query select * from fleet.apply_verdicts(p_facts, p_now);
    return query select * from fleet.apply_purchases(p_facts, p_now);
    return query select * from fleet.apply_gifts(p_facts, p_batch_ids, p_now);
    return query select * from fleet.apply_reversals(p_facts, p_now);
end
$$;

revoke all on function fleet.apply_facts(fleet.fact[], bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.apply_facts(fleet.fact[], bigint[], timestamptz) is
    'Applies facts whose payments and profiles are locked: first purchases, then gifts, so that a gift can spend the '
    'coins of a purchase in the same batch, then reversals.';
