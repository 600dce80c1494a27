create or replace function fleet.add_recorded_names(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_told record;
begin
    -- A direct call may have recorded the same event under another name of the payment: a session, where the event
    -- names its intent. Two names of one kind mean two payments, and one of them has the wrong event id.
    for v_told in
        select f.ordinality as no, known.key
        from unnest(p_facts) with ordinality as f
        cross join lateral (
            select k.key, k.payment_id
            from fleet.payment_keys as k
            where k.provider = f.provider and k.key = 'event:' || f.provider_event_id
            limit 1
        ) as known
        where f.kind = 'purchase'
            and not exists (
                select 1
                from fleet.payment_keys as k
                cross join unnest(f.payment_keys) as named (key)
                where k.payment_id = known.payment_id and k.key <> all(f.payment_keys)
                    and fleet.payment_key_kind(k.key) = fleet.payment_key_kind(named.key)
            )
    loop
        p_facts[v_told.no].payment_keys := p_facts[v_told.no].payment_keys || v_told.key;
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.add_recorded_names(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.add_recorded_names(fleet.fact[]) is
    'Adds to purchase facts the payment name under which a direct call recorded the same event, unless the two '
    'contradict each other.';
