-- The login role of a console that knows its people itself and says who decides. It owns nothing;
-- policies/console.sql says what it may do. Its password is set by whoever runs the cluster. A role belongs
-- to the cluster: another database may have made it already, or may be making it at this moment.
do $$
begin
    if pg_catalog.to_regrole('coinfleet_console') is null then
        create role coinfleet_console login;
    elsif not (select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = 'coinfleet_console') then
        alter role coinfleet_console login;
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;
