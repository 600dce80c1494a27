-- The trigger that gives each new user a profile has a name of our own now. Where only the table's owner
-- may drop the one it had, it stays: the second to come finds the profile there.
do $$
declare
    v_ours oid := to_regproc('public.create_profile_for_new_user');
begin
    if exists (
        select 1
        from pg_catalog.pg_trigger as t
        where t.tgrelid = 'auth.users'::regclass and t.tgname = 'on_auth_user_created' and t.tgfoid = v_ours
    ) then
        drop trigger on_auth_user_created on auth.users;
    end if;
exception
    when insufficient_privilege then null;
end
$$;
