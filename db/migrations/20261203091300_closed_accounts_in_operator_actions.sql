-- What a person closes by fleet.close_other_account is kept with the other actions.
comment on column fleet.operator_actions.action is
    'The command: replay, replay calls, replay deliveries, rates set, rates import, purchases answer, purchases '
    'release, payload read, schedules pause, schedules resume, schedules run, close other account.';
comment on column fleet.operator_actions.event_ids is
    'The events that were made pending, or whose purchase was closed.';
