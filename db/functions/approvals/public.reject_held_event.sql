-- Definer: operators may decide, not write the inbox.
create or replace function public.reject_held_event(
    p_event_id bigint,
    p_who text,
    p_reason text,
    p_without_refund boolean default false
)
returns table (event_id bigint, state text, reason text, waits_for text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_waits_for text;
begin
    if coalesce(btrim(p_reason), '') = '' or p_without_refund is null then
        raise exception 'a rejection needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_waits_for := fleet.reject_event(p_event_id, v_who, p_reason, p_without_refund);
    return query
    select e.id, e.state, e.reason, v_waits_for from fleet.inbox_events as e where e.id = p_event_id;
end
$$;

revoke all on function public.reject_held_event(bigint, text, text, boolean)
from public, anon, authenticated, service_role;
comment on function public.reject_held_event(bigint, text, text, boolean) is
    'A person rejects a payment whose event is held without a purchase, as for want of a buyer. It is refunded at the '
    'provider, unless it cost nothing or p_without_refund is true; it waits for the refund then. Raises CF011, CF012, '
    'and 22023 if we can''t have it refunded.';
