create or replace function fleet.minor_unit_exponent(p_currency text)
returns integer
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    -- As Stripe counts: the krona of Iceland and the shilling of Uganda have no minor unit, but Stripe counts them in
    -- hundredths.
    select case
        when p_currency in (
            'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'
        ) then 0
        when p_currency in ('bhd', 'iqd', 'jod', 'kwd', 'lyd', 'omr', 'tnd') then 3
        else 2
    end
$$;

revoke all on function fleet.minor_unit_exponent(text) from public, anon, authenticated, service_role;
comment on function fleet.minor_unit_exponent(text) is
    'How many decimals a currency''s minor unit has: 0, 2 or 3. The currency is in lower case.';
