-- What each session of a process starts with, on the role: through a transaction pooler nobody can
-- say it at the start of a session. Values and reasons are db/pool.py's, which says them itself on a
-- direct connection. In this database only, for roles are the cluster's.
do $$
declare
    v_role text;
    v_setting record;
begin
    foreach v_role in array array['coinfleet_web', 'coinfleet_worker', 'coinfleet_scheduler'] loop
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
