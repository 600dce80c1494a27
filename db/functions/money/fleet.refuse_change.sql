create or replace function fleet.refuse_change()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op) using errcode = 'CF010';
end
$$;

revoke all on function fleet.refuse_change() from public, anon, authenticated, service_role;
comment on function fleet.refuse_change() is
    'Keeps the ledger and what people did append-only, for their owner too and in replication mode, because its '
    'triggers are enabled always.';

create or replace trigger ledger_entries_never_change
before update or delete on public.ledger_entries
for each row execute function fleet.refuse_change();
alter table public.ledger_entries enable always trigger ledger_entries_never_change;

create or replace trigger ledger_entries_are_never_truncated
before truncate on public.ledger_entries
for each statement execute function fleet.refuse_change();
alter table public.ledger_entries enable always trigger ledger_entries_are_never_truncated;

create or replace trigger decisions_never_change
before update or delete on fleet.decisions
for each row execute function fleet.refuse_change();
alter table fleet.decisions enable always trigger decisions_never_change;

create or replace trigger decisions_are_never_truncated
before truncate on fleet.decisions
for each statement execute function fleet.refuse_change();
alter table fleet.decisions enable always trigger decisions_are_never_truncated;

create or replace trigger adjustments_never_change
before update or delete on fleet.adjustments
for each row execute function fleet.refuse_change();
alter table fleet.adjustments enable always trigger adjustments_never_change;

create or replace trigger adjustments_are_never_truncated
before truncate on fleet.adjustments
for each statement execute function fleet.refuse_change();
alter table fleet.adjustments enable always trigger adjustments_are_never_truncated;

create or replace trigger operator_actions_never_change
before update or delete on fleet.operator_actions
for each row execute function fleet.refuse_change();
alter table fleet.operator_actions enable always trigger operator_actions_never_change;

create or replace trigger operator_actions_are_never_truncated
before truncate on fleet.operator_actions
for each statement execute function fleet.refuse_change();
alter table fleet.operator_actions enable always trigger operator_actions_are_never_truncated;
