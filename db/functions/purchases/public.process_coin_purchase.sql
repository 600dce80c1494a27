-- Definer: service_role may record a purchase only this way.
create or replace function public.process_coin_purchase(
    p_profile_id uuid,
    p_provider text,
    p_provider_event_id text,
    p_provider_payment_id text,
    p_coin_amount bigint,
    p_usd_amount numeric,
    p_ip_address inet default null,
    p_country_code text default null,
    p_user_agent text default null
)
returns table (purchase_id bigint, status text, coin_balance bigint, replayed boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_fact fleet.fact;
    v_outcome fleet.outcome;
    v_tries integer := 0;
    -- Blanks at either end, and characters that can't be seen.
    v_miscopied constant text := '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060\ufeff]';
begin
    if p_profile_id is null or coalesce(p_coin_amount, 0) <= 0 or coalesce(p_usd_amount, -1) < 0
        or p_usd_amount > 9999999999.99 or p_usd_amount <> round(p_usd_amount, 2)
        or coalesce(p_provider_event_id, '') = '' or coalesce(p_provider_payment_id, '') = ''
        or octet_length(p_provider_event_id) > 1000 or octet_length(p_provider_payment_id) > 1000
        or char_length(p_country_code) <> 2
    then
        raise exception 'a purchase needs a profile, ids of at most 1000 bytes, coins > 0, whole cents >= 0,'
            ' a two-letter country or none'
            using errcode = 'invalid_parameter_value';
    end if;
    if coalesce(p_provider, '') not in ('stripe', 'apple', 'google', 'app') then
        raise exception 'no such provider: pass stripe, apple, google or app, in lower case'
            using errcode = 'invalid_parameter_value';
    end if;
    -- Such an id was copied wrongly: the provider's own event has another, and would grant the payment once more.
    if p_provider_event_id ~ v_miscopied or p_provider_payment_id ~ v_miscopied then
        raise exception 'an id must have no blanks around it, and no character that can''t be seen'
            using errcode = 'invalid_parameter_value';
    end if;
    if starts_with(p_provider_payment_id, 'event:') then
        raise exception 'a payment id must not begin with event: pass the id that the provider gave to the payment'
            using errcode = 'invalid_parameter_value';
    end if;
    v_fact.kind := 'purchase';
    v_fact.provider := p_provider;
    v_fact.provider_event_id := p_provider_event_id;
    v_fact.provider_payment_id := p_provider_payment_id;
    v_fact.profile_id := p_profile_id;
    v_fact.direct_coins := p_coin_amount;
    v_fact.direct_usd := p_usd_amount;
    v_fact.amount_minor := (p_usd_amount * 100)::bigint;
    v_fact.currency := 'usd';
    v_fact.purchased_at := clock_timestamp();
    v_fact.ip_address := p_ip_address;
    v_fact.country_code := p_country_code;
    -- A browser's user agent has about 200 characters; a longer one is cut, because it is kept as long as the
    -- purchase.
    v_fact.user_agent := left(p_user_agent, 1000);

    while v_outcome is null loop
        begin
            v_outcome := fleet.record_purchase(v_fact);
        exception
            -- Another call recorded one of the ids meanwhile, under another name or provider. This time it is found.
            when unique_violation then
                v_tries := v_tries + 1;
                if v_tries = 3 then
                    perform fleet.raise_refusal('idempotency_conflict');
                end if;
        end;
    end loop;
    -- Where coins move, the ledger sees to it.
    if v_outcome.replayed or v_outcome.state is distinct from 'applied' then
        perform fleet.commit_durably();
    end if;
    return query
    select cp.id, cp.status, pr.coin_balance, v_outcome.replayed
    from public.coin_purchases as cp
    join public.profiles as pr on pr.id = cp.profile_id
    where cp.id = v_outcome.purchase_id;
end
$$;

revoke all on function public.process_coin_purchase(uuid, text, text, text, bigint, numeric, inet, text, text)
from public, anon, authenticated, service_role;
comment on function public.process_coin_purchase(uuid, text, text, text, bigint, numeric, inet, text, text) is
    'Credits a paid purchase once per provider event and payment; p_provider_payment_id may be any of the payment''s '
    'names. Above the approval threshold the purchase is recorded as pending. Raises CF002 above the limit, CF003 for '
    'velocity, CF006 for an unknown buyer, CF008 for ids of another purchase, another buyer or other coins.';
