-- Definer: the worker has no right to the inbox itself.
create or replace function fleet.grants_of_other_accounts(p_accounts text[])
returns table (purchase_id bigint, event_id bigint, provider_event_id text, account text, coins bigint)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    with named as materialized (
        select cp.id, e.id as event_id, e.provider_event_id, e.payload, cp.coin_amount - cp.refunded_coins as coins
        from public.coin_purchases as cp
        join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
        where cp.provider = 'stripe' and cp.granted_at is not null and cp.status = 'confirmed'
            -- Looked for in the bytes first: to parse a payload takes longer, and most have none of them.
            and (
                position('"account"'::bytea in e.payload) > 0 or position('"context"'::bytea in e.payload) > 0
                or position('"user_id"'::bytea in e.payload) > 0
            )
            -- A person has dealt with it.
            and not exists (
                select 1
                from fleet.operator_actions as o
                where o.action = 'close other account' and o.event_ids @> array[e.id]
            )
    )
    select n.id, n.event_id, n.provider_event_id, min(a.named #>> '{}'), n.coins
    from named as n
    -- By `offset`, each payload is parsed once, and not for each mention.
    cross join lateral (select fleet.event_object(n.payload) as body offset 0) as t
    cross join lateral (values (t.body -> 'account'), (t.body -> 'user_id'), (t.body -> 'context')) as a (named)
    where a.named <> 'null'
        -- A context is the id of an account, or a path that ends with it. A value that is no text is no id.
        and not (
            jsonb_typeof(a.named) = 'string'
            and (a.named #>> '{}' = any(p_accounts) or substring(a.named #>> '{}' from '[^/]*$') = any(p_accounts))
        )
    group by n.id, n.event_id, n.provider_event_id, n.coins
    order by n.id
$$;

revoke all on function fleet.grants_of_other_accounts(text[]) from public, anon, authenticated, service_role;
comment on function fleet.grants_of_other_accounts(text[]) is
    'Purchases whose coins stand although the event that brought them, while its payload is kept, is of a Stripe '
    'account that is not among these. fleet.close_other_account closes one.';
