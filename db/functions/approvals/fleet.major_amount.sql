create or replace function fleet.major_amount(p_amount_minor numeric, p_currency text)
returns numeric
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select round(p_amount_minor * power(10::numeric, -e.exponent), e.exponent)
    from (select fleet.minor_unit_exponent(p_currency) as exponent) as e
$$;

revoke all on function fleet.major_amount(numeric, text) from public, anon, authenticated, service_role;
comment on function fleet.major_amount(numeric, text) is
    'An amount as people write it, with as many decimals as its currency has.';
