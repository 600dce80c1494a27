-- What a unit of a currency is worth in US dollars, so that dollar rules judge payments in any currency.

create table public.fx_rates (
    currency text not null,
    usd_per_unit numeric not null,
    as_of timestamptz not null default clock_timestamp(),
    primary key (currency, as_of),
    constraint currency_is_three_lower_case_letters check (currency ~ '^[a-z]{3}$'),
    constraint rate_positive check (usd_per_unit > 0 and usd_per_unit < 'Infinity'),
    constraint as_of_finite check (isfinite(as_of))
);
alter table public.fx_rates enable row level security;
revoke all on public.fx_rates from public, anon, authenticated, service_role;
comment on table public.fx_rates is 'US dollars per unit of a currency (1 EUR = 1.08 is 1.08), one row a rate and time; the newest of at most 7 days counts. US dollars need none.';
