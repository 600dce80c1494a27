-- From now on the record holds how each constraint, index and default is defined, not only that it is there; a release
-- that brings a migration records everything anew.

comment on column fleet.schema_objects.items is
    'What the catalog held of the file when a release ended, by fleet.catalog_items, a table''s '
    'columns, constraints and indexes with their definitions among it; null before the first that looked.';
