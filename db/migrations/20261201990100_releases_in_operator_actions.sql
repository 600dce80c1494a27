-- Whoever releases a frozen purchase is noted, too.
comment on column fleet.operator_actions.action is
    'The command: replay, replay calls, replay deliveries, rates set, rates import, purchases answer, purchases '
    'release.';
comment on table fleet.operator_actions is
    'Who had events processed again, had calls made again, set rates, answered a store or released frozen purchases, '
    'and why. One row per transaction of a command. Append-only.';
