"""What Prometheus is told by serving and planning. Labels come from rows or fixed words, never from users."""

from __future__ import annotations

from prometheus_client import Counter

EXPOSURES_DROPPED = Counter("assay_exposures_dropped_total", "Exposures that could not be written to the spool; nobody will count them.")
EXPOSURES_REJECTED = Counter("assay_exposures_rejected_total", "Spooled exposures that could not be stored; kept in rejected.txt.")
