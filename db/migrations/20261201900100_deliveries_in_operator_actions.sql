-- Whoever has messages to the app sent again is noted, too.
comment on column fleet.operator_actions.action is
    'The command: replay, replay calls, replay deliveries, rates set, rates import.';
comment on column fleet.operator_actions.call_ids is
    'The calls to providers that were made again, or the messages to the app that were sent again.';
