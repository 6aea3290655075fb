"""Day partitions are made by a function of the owner, which the application's role may call and cannot misuse."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION assay_make_day(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := parent || '_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF parent NOT IN ('ai_events', 'ai_ab_metrics', 'ai_request_costs', 'ai_feedback') THEN
        RAISE EXCEPTION 'assay_make_day: % is no table that is kept by day', parent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF day NOT BETWEEN DATE '1900-01-01' AND DATE '2199-12-31' THEN
        RAISE EXCEPTION 'assay_make_day: % is out of range', day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (event_date >= %L AND event_date < %L)', name, name || '_day', day, day + 1);
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, name, day, day + 1);
    -- The bounds of the partition now say the same.
    EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT %I', name, name || '_day');
END
$$;
REVOKE ALL ON FUNCTION assay_make_day(text, date) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0018_audit_seals")]
    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION assay_make_day(text, date)")]
