-- To plan takes longer than to post a few entries, so the plans are kept. Each profile is looked up by its id in all of
-- them: one that was made while there were few profiles must not read all of them later on. `= any(array[...])` can
-- only be looked up; with `=`, PostgreSQL may read the index of profiles in its order, and compare each profile with
-- every posting. The settings hold in what is called here, too.
create or replace function fleet.post_ledger(p_postings fleet.posting[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
    v_no integer;
    v_transaction_ids bigint[];
    v_now timestamptz := clock_timestamp();
begin
    if coalesce(cardinality(p_postings), 0) = 0 then
        return;
    end if;
    perform fleet.commit_durably();
    for v_i in 1 .. cardinality(p_postings) loop
        v_no := p_postings[v_i].transaction_no;
        if v_transaction_ids[v_no] is null then
            v_transaction_ids[v_no] := nextval('fleet.ledger_transaction_id');
        end if;
    end loop;

    insert into public.ledger_entries (
        transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key, created_at
    )
    select
        v_transaction_ids[p.transaction_no],
        p.leg,
        p.profile_id,
        p.account,
        p.amount,
        case p.account when 'coins' then pr.coin_balance when 'earnings' then pr.earnings_balance end
        + sum(p.amount) over of_account,
        case p.account when 'coins' then pr.coin_seq when 'earnings' then pr.earnings_seq end
        + row_number() over of_account,
        p.reason,
        p.idempotency_key,
        v_now
    from unnest(p_postings) with ordinality as p
    left join public.profiles as pr on pr.id = any(array[p.profile_id])
    where p.amount <> 0
    window of_account as (partition by p.profile_id, p.account order by p.ordinality rows unbounded preceding);

    update public.profiles as pr
    set
        coin_balance = pr.coin_balance + d.coins,
        coin_seq = pr.coin_seq + d.coin_entries,
        earnings_balance = pr.earnings_balance + d.earnings,
        earnings_seq = pr.earnings_seq + d.earnings_entries,
        total_purchased = pr.total_purchased + d.purchased,
        total_spent = pr.total_spent + d.spent,
        total_gifts_sent = pr.total_gifts_sent + d.spent,
        total_gifts_received = pr.total_gifts_received + d.received
    from (
        select
            p.profile_id,
            coalesce(sum(p.amount) filter (where p.account = 'coins'), 0) as coins,
            count(*) filter (where p.account = 'coins' and p.amount <> 0) as coin_entries,
            coalesce(sum(p.amount) filter (where p.account = 'earnings'), 0) as earnings,
            count(*) filter (where p.account = 'earnings' and p.amount <> 0) as earnings_entries,
            coalesce(sum(p.amount) filter (where p.account = 'coins' and p.reason = 'purchase'), 0) as purchased,
            coalesce(sum(-p.amount) filter (where p.account = 'coins' and p.reason = 'gift'), 0) as spent,
            coalesce(sum(p.gift_coins), 0) as received
        from unnest(p_postings) as p
        where p.profile_id is not null
        group by p.profile_id
    ) as d
    where pr.id = any(array[d.profile_id]);

    if (select s.app_told_since from fleet.settings as s) is not null then
        perform fleet.tell_entries(p_postings);
    end if;
end
$$;

revoke all on function fleet.post_ledger(fleet.posting[]) from public, anon, authenticated, service_role;
comment on function fleet.post_ledger(fleet.posting[]) is
    'The only function that writes ledger entries and balances: appends the postings in order and moves each profile '
    'once. The caller holds the profiles'' locks and has decided.';
