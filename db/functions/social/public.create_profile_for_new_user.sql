-- Definer: a sign-up runs as the auth service, which may not write profiles.
create or replace function public.create_profile_for_new_user()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    insert into public.profiles (id) values (new.id) on conflict (id) do nothing;
    return null;
end
$$;

revoke all on function public.create_profile_for_new_user() from public, anon, authenticated, service_role;
comment on function public.create_profile_for_new_user() is
    'Makes a profile for each new auth.users row. It refuses nothing, so it can''t block a sign-up.';

-- The trigger's name begins with ours, because the table belongs to the auth service and a plain name may be taken
-- there.
create or replace trigger coinfleet_makes_a_profile
after insert on auth.users
for each row execute function public.create_profile_for_new_user();
