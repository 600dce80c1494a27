create or replace function fleet.period_start(p_period text, p_day date)
returns date
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case p_period when 'all_time' then '-infinity'::date else date_trunc(p_period, p_day::timestamp)::date end
$$;

revoke all on function fleet.period_start(text, date) from public, anon, authenticated, service_role;
comment on function fleet.period_start(text, date) is
    'The first day of the day, week (from Monday) or month that a day is in; -infinity for all_time.';
