create or replace function upgrade.copy_people(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    insert into fleet.upgraded_users (old_id, profile_id)
    select s.old_id, s.profile_id from upgrade.people as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move';

    insert into public.profiles (id)
    select s.profile_id from upgrade.people as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move'
    on conflict (id) do nothing;

    update public.profiles as p
    set
        username = case when not s.is_name_taken and char_length(s.username) between 1 and 64 then s.username end,
        display_name = left(s.display_name, 128),
        avatar_url = case when char_length(s.avatar_url) <= 2048 then s.avatar_url end,
        bio = left(s.bio, 2000),
        created_at = coalesce(s.created_at, p.created_at)
    from upgrade.people as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move' and p.id = s.profile_id;

    insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
    select s.source_table, s.source_key, n.note, n.old_value
    from upgrade.people as s
    cross join lateral (
        values
        ('username_taken', case when s.is_name_taken then s.username end),
        ('username_too_long', case when char_length(s.username) > 64 then s.username end),
        ('display_name_cut', case when char_length(s.display_name) > 128 then s.display_name end),
        ('avatar_url_too_long', case when char_length(s.avatar_url) > 2048 then s.avatar_url end),
        ('bio_cut', case when char_length(s.bio) > 2000 then s.bio end)
    ) as n (note, old_value)
    where s.no > p_after and s.no <= p_upto and s.fate = 'move' and n.old_value is not null;
end
$$;

-- For a person whose fields the current schema refuses: the profile is made without them, because the balance matters
-- more.
create or replace function upgrade.copy_bare_person(p_no bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    insert into fleet.upgraded_users (old_id, profile_id)
    select s.old_id, s.profile_id from upgrade.people as s where s.no = p_no;

    insert into public.profiles (id)
    select s.profile_id from upgrade.people as s where s.no = p_no
    on conflict (id) do nothing;

    insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
    select
        s.source_table, s.source_key, 'fields_refused',
        jsonb_build_object(
            'username', s.username, 'display_name', s.display_name, 'avatar_url', s.avatar_url, 'bio', s.bio
        )::text
    from upgrade.people as s
    where s.no = p_no;
end
$$;
