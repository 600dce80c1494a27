-- One viewer may have a stream open in several tabs. Not a table of its own: the sweep would pay for it with each
-- row that it removes, and a heartbeat would write two rows.
alter table public.active_viewers add column tabs jsonb;
comment on column public.active_viewers.tabs is 'The tabs that were heard on this stream: {"<tab>": [when, in seconds since 1970, whether all four flags held]}; the newest 8. The name "" stands for a client that names no tab. Null while no tab was named. Written by the heartbeats only.';
