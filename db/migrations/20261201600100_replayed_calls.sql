-- squawk-ignore-file adding-field-with-default, require-concurrent-index-creation
-- Operators' actions are few: the table is small.
alter table fleet.operator_actions add column call_ids bigint[] not null default '{}';
create index operator_actions_call_ids_idx on fleet.operator_actions using gin (call_ids);
comment on column fleet.operator_actions.action is 'The command: replay, replay calls, rates set, rates import.';
comment on column fleet.operator_actions.call_ids is 'The calls to providers that were made again.';
comment on table fleet.operator_actions is
    'Who had events processed again, had calls made again or set rates, and why. One row per transaction of a '
    'command. Append-only.';
