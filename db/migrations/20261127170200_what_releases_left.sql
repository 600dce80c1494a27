-- What each file left in the catalog, so that a later look tells what was lost or added since.

alter table fleet.schema_objects
    add column items text[],
    add column server_version integer;
comment on column fleet.schema_objects.items is 'What the catalog held of the file when a release ended, by fleet.catalog_items; null before the first that looked.';
comment on column fleet.schema_objects.server_version is 'The major version of the server that wrote items.';
