-- A process writes its own report, and its password suffices to write any: what is no report must not reach those who
-- read it. Unvalidated, for what stands there is read with the same care.
alter table fleet.web_reports
add constraint web_detail_is_an_object_of_few_levels
check (jsonb_typeof(detail) = 'object' and not jsonb_path_exists(detail, 'strict $.**{9}')) not valid;

alter table fleet.worker_reports
add constraint detail_is_an_object_of_few_levels
check (jsonb_typeof(detail) = 'object' and not jsonb_path_exists(detail, 'strict $.**{9}')) not valid,
add constraint apply_ms_total_is_finite check (apply_ms_total between 0 and 1e300) not valid;
