create or replace function fleet.mend_sequences()
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_one record;
    v_newest bigint;
    v_last bigint;
    v_mended bigint := 0;
begin
    for v_one in
        select s.oid::regclass as sequence, d.refobjid::regclass as of_table, a.attname as of_column
        from pg_catalog.pg_class as s
        join pg_catalog.pg_depend as d
            on d.objid = s.oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('i', 'a')
            and d.refclassid = 'pg_catalog.pg_class'::regclass
        join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        join pg_catalog.pg_class as t on t.oid = d.refobjid
        join fleet.schema_objects as o
            on o.kind = 'policy'
            and o.name = case t.relnamespace::regnamespace::text
                when 'fleet' then 'clients' else t.relnamespace::regnamespace || '.' || t.relname
            end
        where s.relkind = 'S'
            -- Columns without an index of their own are no keys.
            and exists (select 1 from pg_catalog.pg_index as i where i.indrelid = t.oid and i.indkey[0] = a.attnum)
        -- With this one behind, a new payment would be taken for an older one, and credit nothing.
        union all
        select 'fleet.payment_id'::regclass, 'fleet.payment_keys'::regclass, 'payment_id'
        union all
        select 'fleet.ledger_transaction_id'::regclass, 'public.ledger_entries'::regclass, 'transaction_id'
    loop
        if v_one.of_column = 'transaction_id' then
            -- Without an index; among the newest entries is the newest transaction, but for a few batches at once.
            select max(e.transaction_id) into v_newest
            from (select l.transaction_id from public.ledger_entries as l order by l.id desc limit 20000) as e;
        else
            execute format('select max(%I) from %s', v_one.of_column, v_one.of_table) into v_newest;
        end if;
        execute format('select case when is_called then last_value else last_value - 1 end from %s', v_one.sequence)
            into v_last;
        if v_newest > v_last then
            -- Read again in the same statement: somebody may have drawn a number beyond the newest row meanwhile.
            execute format('select setval(%L, greatest($1, last_value)) from %s', v_one.sequence, v_one.sequence)
                using v_newest;
            v_mended := v_mended + 1;
        end if;
    end loop;
    -- A reversal's number stands in the key of its entries only. It has two entries at least, so their ids are beyond
    -- it.
    if v_mended > 0 then
        select max(e.id) into v_newest from public.ledger_entries as e;
        select r.last_value into v_last from fleet.reversal_no as r;
        if v_newest > v_last then
            perform setval('fleet.reversal_no', greatest(v_newest, r.last_value)) from fleet.reversal_no as r;
        end if;
    end if;
    return v_mended;
end
$$;

revoke all on function fleet.mend_sequences() from public, anon, authenticated, service_role;
comment on function fleet.mend_sequences() is
    'Moves each sequence that is behind its table past the newest row, and returns how many were: logical replication '
    'copies rows and no sequences, and every insert would be refused. For the schema''s owner.';
