-- squawk-ignore-file ban-drop-function
-- Only SQL of this schema called the functions that are dropped here.
-- Only a database that an upgrade brought here has old rows to erase. Its release installs what erases
-- them from db/legacy/functions, partly under other names; no other database needs these functions.
drop function if exists fleet.erase_old_rows(text[]);
drop function if exists fleet.erase_old_table(regclass, text[]);
drop function if exists fleet.old_ids(uuid);
drop function if exists fleet.tells_of(text, jsonb, text[]);
drop function if exists fleet.names_author(text, text, boolean);
drop function if exists fleet.personal_fields(text, jsonb);

comment on column fleet.schema_objects.checksum is
    'The checksum of the text that was applied last; ''removed'' for a function whose file is gone, so that an older '
    'release that still runs finds it here.';
