-- From where somebody acted: whoever asks in the name of people (the console) says it for its transaction. A default,
-- so that no function needs another argument, and rows of before stay as they are.
alter table fleet.decisions add column origin text;
alter table fleet.decisions alter column origin set default coalesce(
    nullif(current_setting('coinfleet.origin', true), ''),
    'database session from ' || coalesce(host(inet_client_addr()), 'this machine')
);
comment on column fleet.decisions.origin is
    'From where it was decided: what the transaction says as coinfleet.origin, else the address of the session.';
alter table fleet.adjustments add column origin text;
alter table fleet.adjustments alter column origin set default coalesce(
    nullif(current_setting('coinfleet.origin', true), ''),
    'database session from ' || coalesce(host(inet_client_addr()), 'this machine')
);
comment on column fleet.adjustments.origin is
    'From where it was corrected: what the transaction says as coinfleet.origin, else the address of the session.';
alter table fleet.operator_actions add column origin text;
alter table fleet.operator_actions alter column origin
set default nullif(current_setting('coinfleet.origin', true), '');
comment on column fleet.operator_actions.origin is
    'From where a person of the console acted: what the transaction says as coinfleet.origin.';
