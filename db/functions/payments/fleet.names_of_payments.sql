create or replace function fleet.names_of_payments(p_providers text[], p_keys text[])
returns table (provider text, key text)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
as $$
    select alias.provider, alias.key
    from (
        select distinct known.payment_id
        from unnest(p_providers, p_keys) as named (provider, key)
        cross join lateral (
            select k.payment_id
            from fleet.payment_keys as k
            where k.provider = named.provider and k.key = named.key
            limit 1
        ) as known
    ) as one
    cross join lateral (
        select k.provider, k.key from fleet.payment_keys as k where k.payment_id = one.payment_id offset 0
    ) as alias
    order by alias.provider, alias.key
$$;

revoke all on function fleet.names_of_payments(text[], text[]) from public, anon, authenticated, service_role;
comment on function fleet.names_of_payments(text[], text[]) is
    'Every key of every payment that one of these keys names, in the order in which keys are locked.';
