create or replace function fleet.commit_durably()
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- Only `off` is changed: `local` and `remote_write` survive a crash of this server as `on` does, and
    -- `remote_apply` is more than that.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    -- A session that stops waiting for a synchronous standby leaves a commit that only this server has. To answer
    -- later that this work is done needs the same wait, but a transaction that writes nothing does not wait: hence
    -- this message.
    if current_setting('synchronous_standby_names') <> '' and not pg_is_in_recovery() then
        perform pg_logical_emit_message(true, 'coinfleet', '');
    end if;
end
$$;

revoke all on function fleet.commit_durably() from public, anon, authenticated, service_role;
comment on function fleet.commit_durably() is
    'Makes sure that the caller''s transaction is on disk before its commit is answered, whatever the server, the '
    'database or the role set for synchronous_commit. For each function whose answer somebody relies on, also if it '
    'only says that everything was done before.';
