-- One login role for each long-lived process. They own nothing; policies/<process>.sql says what
-- each may do. A role belongs to the cluster: another database may have made it already, or be
-- making it at this moment. Passwords are set by whoever runs the cluster, never here.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['coinfleet_web', 'coinfleet_worker', 'coinfleet_scheduler'] loop
        begin
            if pg_catalog.to_regrole(v_role) is null then
                execute pg_catalog.format('create role %I login', v_role);
            elsif not (select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = v_role) then
                execute pg_catalog.format('alter role %I login', v_role);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;
