create or replace function fleet.set_rates(
    p_currencies text[],
    p_usd_per_unit numeric[],
    p_as_of timestamptz[],
    p_allow_unusual boolean,
    p_now timestamptz
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_stored bigint;
begin
    if exists (select 1 from fleet.rate_faults(p_currencies, p_usd_per_unit, p_as_of, p_allow_unusual, p_now)) then
        raise exception 'the rates have faults: fleet.rate_faults says which'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    -- Nobody can set a rate of a time that has not come: a clock that was ahead dated these. They must not replace the
    -- new rates when that time comes.
    delete from public.fx_rates as r where r.currency = any(p_currencies) and r.as_of > p_now;
    insert into public.fx_rates (currency, usd_per_unit, as_of)
    select r.currency, r.usd_per_unit, coalesce(r.as_of, p_now)
    from unnest(p_currencies, p_usd_per_unit, p_as_of) as r (currency, usd_per_unit, as_of)
    on conflict do nothing;
    get diagnostics v_stored = row_count;
    -- What they want has come, so they wait for no pause between two judgements.
    delete from fleet.hold_judgements as j
    using fleet.holds_without_rate(p_currencies) as h
    where j.event_id = h.event_id and h.has_rate;
    return v_stored;
end
$$;

revoke all on function fleet.set_rates(text[], numeric[], timestamptz[], boolean, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.set_rates(text[], numeric[], timestamptz[], boolean, timestamptz) is
    'Stores rates, all or none, and has housekeeping judge what is held for want of them at its next run. Returns how '
    'many are new: a rate that is stored already is no fault. A stored rate never changes.';
