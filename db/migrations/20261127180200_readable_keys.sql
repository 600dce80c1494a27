-- Gifts are everybody's to read, and so are the keys that clients choose.
comment on column public.gifts.provider_event_id is 'The event that sent the gift: an app''s event id, or "client:<sender>:<key>" of a direct call. Readable by everyone, like the whole row, so a client''s key is a random id and tells nothing.';
