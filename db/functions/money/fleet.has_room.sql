create or replace function fleet.has_room(p_profile_id uuid, p_coins bigint, p_is_purchase boolean)
returns boolean
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- What was taken back may be given back, by a refund that fails or a dispute that is won: its room is kept. The
    -- total only grows, so all reversals together never take more than bigint holds either.
    select greatest(
        pr.coin_balance + (
            select coalesce(sum(cp.refunded_coins), 0)
            from public.coin_purchases as cp
            where cp.profile_id = pr.id and cp.granted_at is not null
        ),
        case when p_is_purchase then pr.total_purchased end
    ) + p_coins <= 9223372036854775807
    from public.profiles as pr
    where pr.id = p_profile_id
$$;

revoke all on function fleet.has_room(uuid, bigint, boolean) from public, anon, authenticated, service_role;
comment on function fleet.has_room(uuid, bigint, boolean) is
    'Whether so many coins more still fit into the account and, of a purchase, into the sum of all purchases. Reads '
    'the account''s purchases: whoever credits many accounts asks only if half of the room would be used. The caller '
    'holds the profile''s lock.';
