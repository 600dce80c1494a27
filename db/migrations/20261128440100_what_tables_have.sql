-- From now on the record holds what migrations made of each table, too; a release that brings a
-- migration records everything anew.

comment on column fleet.schema_objects.items is
    'What the catalog held of the file when a release ended, by fleet.catalog_items, a table''s columns, constraints and indexes among it; null before the first that looked.';
