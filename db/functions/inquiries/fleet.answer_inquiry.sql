-- Definer: operators may answer a store, not write the outbox.
create or replace function fleet.answer_inquiry(
    p_id bigint, p_choice text, p_who text, p_reason text, p_typed_by text default null
)
returns table (provider text, choice text, deadline timestamptz, call_id bigint)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_choice text := upper(replace(btrim(p_choice), '-', '_'));
    v_choices text[];
    v_now timestamptz;
    v_asked fleet.store_inquiries;
    v_open record;
begin
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'an answer needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    -- Of two who answer at once, the second one sees what the first one did.
    select i.* into v_asked from fleet.store_inquiries as i where i.id = p_id for update;
    if not found then
        raise exception 'no question of a store has the id %', p_id using errcode = 'invalid_parameter_value';
    end if;
    v_choices := case v_asked.provider
        when 'apple' then array['DECLINE', 'GRANT_FULL', 'GRANT_PRORATED', 'NO_PREFERENCE']
        else array['APPROVE', 'DECLINE', 'NEUTRAL']
    end;
    if v_choice is null or v_choice <> all(v_choices) then
        raise exception 'question % can be answered by %', p_id,
            lower(replace(array_to_string(v_choices, ', '), '_', '-'))
            using errcode = 'invalid_parameter_value';
    end if;
    v_now := clock_timestamp();
    if v_asked.deadline <= v_now then
        raise exception 'question % had to be answered by % UTC', p_id,
            to_char(v_asked.deadline at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            using errcode = 'invalid_parameter_value';
    end if;
    select o.* into v_open from fleet.open_inquiries() as o where o.id = p_id;
    if not found then
        perform fleet.raise_refusal(
            case
                when exists (
                    select
                    from fleet.operator_actions as a
                    where a.event_ids @> array[v_asked.event_id] and a.action = 'purchases answer'
                        and lower(a.who) = lower(v_who)
                ) then 'decided_before'
                else 'decided_meanwhile'
            end
        );
    end if;
    if v_open.blocked_by is not null then
        raise exception 'question % can''t be answered: %', p_id, case v_open.blocked_by
            when 'no_consent' then 'Apple may be told only if customers agreed to it: APPLE_CUSTOMERS_CONSENTED'
            when 'unknown_purchase' then 'nothing is known of its purchase'
            else 'its order is not known'
        end using errcode = 'invalid_parameter_value';
    end if;
    if v_choice = 'GRANT_PRORATED' and coalesce(v_open.consumed_milli_percent, 0) = 0 then
        raise exception 'question %: none of its coins are spent, so there is no part to refund: grant-full or decline',
            p_id
            using errcode = 'invalid_parameter_value';
    end if;
    -- Housekeeping may have answered at this moment.
    if not exists (select from fleet.write_answers(array[p_id], v_choice, v_now)) then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    insert into fleet.operator_actions (action, who, typed_by, reason, detail, event_ids)
    values (
        'purchases answer', v_who, coalesce(nullif(btrim(p_typed_by), ''), v_who), btrim(p_reason),
        jsonb_build_object('inquiry', p_id, 'choice', v_choice), array[v_asked.event_id]
    );
    return query
    select v_asked.provider, v_choice, v_asked.deadline, c.id
    from fleet.provider_calls as c
    where c.key = fleet.answer_key(v_asked.provider, v_asked.inquiry_id);
end
$$;

revoke all on function fleet.answer_inquiry(bigint, text, text, text, text)
from public, anon, authenticated, service_role;
comment on function fleet.answer_inquiry(bigint, text, text, text, text) is
    'A person answers a store''s question about a refund: the call and a note of who and why, in one transaction. '
    'Raises CF011 if this person has answered it before, CF012 if it was answered or refunded meanwhile, 22023 if it '
    'can''t be answered like this.';
