create or replace function fleet.erase_payloads(p_profile_id uuid)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_patterns text[];
    v_customers text[];
    v_payments bigint[];
    v_events bigint;
    v_calls bigint;
    v_open_events bigint;
    v_open_calls bigint;
    v_open_messages bigint;
begin
    -- Payloads are found by their text: a refund names only a payment, and a refused gift left no other trace. The id
    -- is written with or without hyphens. Payment keys are literals, fifty per pattern. Bytes are folded to lower
    -- case as ASCII, at half the cost: a million payloads take about a minute.
    select array_agg(n.pattern) into v_patterns
    from (
        select replace(p_profile_id::text, '-', '-?') as pattern
        union all
        -- A provider's event about a customer names neither profile nor payment, so the e-mail address is looked for
        -- too, but not as a part of a longer address. The character before the address may be the end of an escape:
        -- "\n", "\u003c", three octal digits.
        select
            '(^|[^a-z0-9._%+-]|\\[0-7]{3}|\\\\(u[0-9a-f]{4}|[bfnrt]))' || fleet.spellings_in_json(btrim(a.email))
            || '(?!\.?[a-z0-9-])'
        from auth.users as a
        where a.id = p_profile_id and btrim(a.email) like '_%@_%'
        union all
        -- Only whole strings of JSON match: an older platform's key may be as short as 17.
        select '"(' || string_agg(k.literal, '|') || ')"'
        from (
            -- Level 3: each key of each payment, and the pattern that it stands in.
            select
                fleet.spellings_in_json(pk.key) as literal,
                row_number() over (order by pk.key) / 50 as part
            from public.coin_purchases as cp
            left join fleet.joined_purchases as j on j.purchase_id = cp.id
            join fleet.payment_keys as pk on pk.payment_id in (cp.payment_id, j.payment_id)
            where cp.profile_id = p_profile_id
        ) as k
        group by k.part
    ) as n;

    -- Stripe's customer ids in events of these payments: events about such a customer tell name, address and
    -- telephone number, and nothing of the above. This drops only events that were ignored: if two people paid as one
    -- customer, the payloads of the other's payments stay.
    select array_agg(k.pattern) into v_customers
    from (
        select '"(' || string_agg(c.customer, '|') || ')"' as pattern
        from (
            -- Level 3: each customer, and the pattern that it stands in.
            select m.found[1] as customer, row_number() over (order by m.found[1]) / 50 as part
            from fleet.inbox_events as e
            cross join lateral (select lower(encode(e.payload, 'escape') collate "C") as body) as b
            cross join lateral regexp_matches(
                b.body, '"customer": *(?:\{ *"id": *)?"(g?cus_[a-z0-9]{1,64})"', 'g'
            ) as m (found)
            where e.provider = 'stripe' and position('cus_'::bytea in e.payload) > 0 and b.body ~ any(v_patterns)
            group by m.found[1]
        ) as c
        group by c.part
    ) as k;

    -- What a store tells stands in base64, where no text is found: its events are those of these payments.
    v_payments := array(
        select unnest(array[cp.payment_id, j.payment_id])
        from public.coin_purchases as cp
        left join fleet.joined_purchases as j on j.purchase_id = cp.id
        where cp.profile_id = p_profile_id
        union
        select s.payment_id
        from fleet.store_payments as s
        where p_profile_id in (s.buyer_id, s.profile_id)
    );
    update fleet.inbox_events as e
    set payload = null, last_error = null
    where e.state in ('applied', 'ignored', 'rejected', 'dead')
        and e.payload is not null
        and (
            e.payment_id = any(v_payments)
            or lower(encode(e.payload, 'escape') collate "C") ~ any(
                case
                    when e.state = 'ignored' and e.provider = 'stripe' then v_patterns || v_customers
                    else v_patterns
                end
            )
        );
    get diagnostics v_events = row_count;
    update fleet.provider_calls as c
    set request = '{}', result = null
    where c.state in ('done', 'dead')
        and (c.request <> '{}' or c.result is not null)
        and lower(encode(convert_to(concat_ws(' ', c.request, c.result), 'UTF8'), 'escape') collate "C")
            ~ any(v_patterns);
    get diagnostics v_calls = row_count;
    select count(*) into v_open_events
    from fleet.inbox_events as e
    where e.state in ('pending', 'waiting', 'held')
        and (
            e.payment_id = any(v_payments) or lower(encode(e.payload, 'escape') collate "C") ~ any(v_patterns)
        );
    -- What the app, or a provider, has still to hear of this person: coins, gifts and refunds, under ids. Neither is
    -- withheld, for both would then keep what is not true.
    select
        count(*) filter (where c.kind <> 'app.deliver'),
        count(*) filter (where c.kind = 'app.deliver')
    into v_open_calls, v_open_messages
    from fleet.provider_calls as c
    where c.state = 'pending'
        and lower(encode(convert_to(c.request::text, 'UTF8'), 'escape') collate "C") ~ any(v_patterns);
    return jsonb_build_object(
        'payloads', v_events, 'provider_calls', v_calls, 'open_events', v_open_events, 'open_calls', v_open_calls,
        'open_messages', v_open_messages
    );
end
$$;

revoke all on function fleet.erase_payloads(uuid) from public, anon, authenticated, service_role;
comment on function fleet.erase_payloads(uuid) is
    'Drops the payloads of finished events, and the requests of finished calls, that name the profile, its e-mail '
    'address or one of its payments, and the payloads of ignored events about the Stripe customer that paid one. Keys '
    'and hashes stay. Reads every payload that is kept: minutes for millions. An event that is still open, and '
    'a call or message that is still to be made, keeps what it says and is counted as open.';
