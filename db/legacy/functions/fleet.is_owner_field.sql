create or replace function fleet.is_owner_field(p_source_table text, p_field text, p_is_uuid boolean)
returns boolean
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case
        when p_field = 'id' then p_source_table in ('users', 'profiles')
        -- The other side of a gift, a follow or a grid slot: the row belongs to somebody else.
        when p_field in ('recipient_id', 'followee_id', 'streamer_id') then false
        else p_is_uuid or p_field in (
            'user_id', 'profile_id', 'owner_id', 'author_id', 'buyer_id', 'sender_id', 'follower_id', 'viewer_id'
        )
    end
$$;

revoke all on function fleet.is_owner_field(text, text, boolean) from public, anon, authenticated, service_role;
comment on function fleet.is_owner_field(text, text, boolean) is
    'Whether a field of an older generation''s table names the user that a row belongs to. The first generation''s ids '
    'are numbers, so there the field''s name decides; in the second each uuid names a user.';
