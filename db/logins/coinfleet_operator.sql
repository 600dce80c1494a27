-- The login role of operators, and the role that a person's own login role inherits. It owns nothing;
-- policies/operator.sql says what it may do. Its password is set by whoever runs the cluster. A role belongs
-- to the cluster: another database may have made it already, or may be making it at this moment.
do $$
begin
    if pg_catalog.to_regrole('coinfleet_operator') is null then
        create role coinfleet_operator login;
    elsif not (select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = 'coinfleet_operator') then
        alter role coinfleet_operator login;
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;
