-- What operators did by a command: who, why and from where, written by the transaction that did it.
create table fleet.operator_actions (
    id bigint generated always as identity primary key,
    action text not null,
    who text not null default session_user,
    typed_by text not null,
    client_address inet default inet_client_addr(),
    reason text not null,
    detail jsonb not null default '{}',
    event_ids bigint[] not null default '{}',
    acted_at timestamptz not null default clock_timestamp(),
    constraint action_named check (btrim(action) <> ''),
    constraint typed_by_somebody check (btrim(typed_by) <> ''),
    constraint reason_given check (btrim(reason) <> '')
);
create index operator_actions_event_ids_idx on fleet.operator_actions using gin (event_ids);
revoke all on fleet.operator_actions from public, anon, authenticated, service_role;
comment on table fleet.operator_actions is
    'Who had events processed again or set rates, and why. One row per transaction of a command. Append-only.';
comment on column fleet.operator_actions.action is 'The command: replay, rates set, rates import.';
comment on column fleet.operator_actions.who is 'The database role that logged in.';
comment on column fleet.operator_actions.typed_by is 'The account and the machine on which the command was typed.';
comment on column fleet.operator_actions.detail is 'What was asked for: a filter, or the rates.';
comment on column fleet.operator_actions.event_ids is 'The events that were made pending.';

-- Which currencies recent disputes used, however many there are.
create index if not exists disputes_told_at_idx on fleet.disputes (told_at);
