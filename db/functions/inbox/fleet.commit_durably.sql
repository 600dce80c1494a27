create or replace function fleet.commit_durably()
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- Not above what an operator chose: `local` and `remote_write` outlive a crash of this server as `on` does, and
    -- `remote_apply` is more than that.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    -- Whoever gives up waiting for a synchronous standby leaves a commit that this server alone has. To say of it that
    -- it is done is as good as a commit, and a transaction that writes nothing waits for nobody.
    if current_setting('synchronous_standby_names') <> '' and not pg_is_in_recovery() then
        perform pg_logical_emit_message(true, 'coinfleet', '');
    end if;
end
$$;

revoke all on function fleet.commit_durably() from public, anon, authenticated, service_role;
comment on function fleet.commit_durably() is
    'Has the caller''s transaction on disk before its commit is answered, whatever the server, the database or the '
    'role say of synchronous_commit. For each function whose answer somebody relies on, also if it only says that all '
    'was done before.';
