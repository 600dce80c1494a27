-- One login role for each long-lived process. They own nothing; policies/<process>.sql says what
-- each may do. A role belongs to the cluster: another database may have made it already, or be
-- making it at this moment. Passwords are set by whoever runs the cluster, never here.
do $$
declare
    v_process text;
begin
    foreach v_process in array array['web', 'worker', 'scheduler'] loop
        continue when exists (
            select from pg_catalog.pg_roles where rolname = 'coinfleet_' || v_process
        );
        begin
            execute pg_catalog.format('create role %I login', 'coinfleet_' || v_process);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

create schema invariants;
comment on schema invariants is
    'One view for each file of db/invariants; each returns no row while the books are right.';
grant usage on schema invariants to coinfleet_worker;
alter default privileges in schema invariants grant select on tables to coinfleet_worker;

-- A database that came from PostgreSQL 14 or older still lets everybody create here.
revoke create on schema public from public;
