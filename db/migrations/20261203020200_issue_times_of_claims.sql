-- When the token that began a session was issued, by the clock of who issued it, which may be some seconds ahead.
alter table fleet.console_sessions add column issued_at timestamptz;
comment on column fleet.console_sessions.issued_at is
    'When the proxy issued the token by which it was begun, by the proxy''s clock; null if no token may come back.';
