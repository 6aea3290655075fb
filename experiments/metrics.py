"""What Prometheus is told by serving and planning. Labels come from rows or fixed words, never from users."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EXPOSURES_DROPPED = Counter("assay_exposures_dropped_total", "Exposures that could not be written to the spool; nobody will count them.")
EXPOSURES_REJECTED = Counter("assay_exposures_rejected_total", "Spooled exposures that could not be stored; kept in rejected.txt.")

VARIANTS_ASSIGNED = Counter("experiment_variant_assigned_total", "Answers that gave a unit a variant.", ["experiment", "variant"])
ASSIGNMENT_ANSWERS = Counter("assay_assignments_total", "Answers of the assignment door, by the step that decided.", ["reason"])
CATALOGUE_VERSION = Gauge("assay_catalogue_version", "Version of the catalogue being served.", multiprocess_mode="livemin")
CATALOGUE_STALE = Gauge("assay_catalogue_stale", "1 while the newest catalogue cannot be asked for.", multiprocess_mode="livemax")
