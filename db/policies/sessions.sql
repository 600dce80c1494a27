-- The settings with which each session of a process starts. They are set on the roles that logins/ makes, because
-- through a transaction pooler a client can't set them when a session starts; on a direct connection it does, see
-- db/connections/pool.py for the reasons of the values. They hold in this database only, while a role belongs to the
-- whole cluster.
do $$
declare
    v_role text;
    v_setting record;
begin
    for v_role in select o.name from fleet.schema_objects as o where o.kind = 'login' loop
        for v_setting in
            select s.name, s.value
            from (values
                ('timezone', 'UTC'),
                ('statement_timeout', '30000'),
                ('lock_timeout', '5000'),
                ('idle_in_transaction_session_timeout', '60000'),
                ('client_connection_check_interval', '2000'),
                ('jit', 'off')
            ) as s (name, value)
        loop
            execute pg_catalog.format(
                'alter role %I in database %I set %s = %L',
                v_role, pg_catalog.current_database(), v_setting.name, v_setting.value
            );
        end loop;
    end loop;
end
$$;

-- What is acknowledged is on disk: if the server or the database has synchronous_commit off, our roles have it on.
-- Another value is an operator's choice and stays; the role's own value counts first, then the database's, then the
-- server's. Because it is set on the role, it also survives an `alter database … set synchronous_commit = off`.
-- fleet.commit_durably does the same for each transaction.
do $$
declare
    v_role text;
    v_found text;
begin
    for v_role in select o.name from fleet.schema_objects as o where o.kind = 'login' loop
        select pg_catalog.split_part(c.setting, '=', 2) into v_found
        from pg_catalog.pg_db_role_setting as d
        cross join lateral unnest(d.setconfig) as c (setting)
        where c.setting like 'synchronous\_commit=%'
            and d.setrole in (0, pg_catalog.to_regrole(v_role)::oid)
            and d.setdatabase in (
                0, (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database())
            )
        order by d.setrole <> 0 desc, d.setdatabase <> 0 desc
        limit 1;
        if v_found is null then
            select s.setting into v_found
            from pg_catalog.pg_settings as s
            where s.name = 'synchronous_commit' and s.source in ('configuration file', 'command line');
        end if;
        if v_found is null or v_found = 'off' then
            v_found := 'on';
        end if;
        execute pg_catalog.format(
            'alter role %I in database %I set synchronous_commit = %L', v_role, pg_catalog.current_database(), v_found
        );
    end loop;
end
$$;
