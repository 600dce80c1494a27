create or replace function fleet.snapshots_of_inquiries(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
immutable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_told jsonb;
begin
    for v_no in 1 .. cardinality(p_facts) loop
        v_told := p_facts[v_no].told;
        if p_facts[v_no].kind = 'store_inquiry' and jsonb_typeof(v_told) = 'object' then
            p_facts[v_no].kind := 'store_snapshot';
            p_facts[v_no].told_at := (v_told ->> 'told_at')::timestamptz;
            p_facts[v_no].quantity := coalesce((v_told ->> 'quantity')::integer, 1);
            p_facts[v_no].reversed_milli_percent := (v_told ->> 'reversed_milli_percent')::integer;
        end if;
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.snapshots_of_inquiries(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.snapshots_of_inquiries(fleet.fact[]) is
    'Returns the facts with what questions of stores tell of their purchases besides, as snapshots.';
