"""What the nightly scans found: per iteration, and of pairs of experiments. Findings for people;
nothing decides by them.
"""

from __future__ import annotations

from django.db import models


class Scan(models.Model):
    """One night's reading of an iteration (``core.scans.ScanResult``), and when it was made. A
    repeat of the night overwrites it.
    """

    iteration = models.ForeignKey(
        "experiments.Iteration", on_delete=models.PROTECT, related_name="scans"
    )
    night = models.DateField()
    scanned_at = models.DateTimeField()
    data_cut = models.DateTimeField()
    result = models.JSONField()

    class Meta:
        db_table = "scans"
        ordering = ("-night", "-id")
        constraints = [
            models.UniqueConstraint(fields=["iteration", "night"], name="scan_once_a_night")
        ]

    def __str__(self) -> str:
        return f"scan of {self.iteration_id}, {self.night}"


class PairScan(models.Model):
    """All pairs of concurrent experiments asked in one night, with their adjusted p
    (``core.scans.AskedPair``).
    """

    night = models.DateField(unique=True)
    scanned_at = models.DateTimeField()
    pairs = models.JSONField()

    class Meta:
        db_table = "pair_scans"
        ordering = ("-night",)

    def __str__(self) -> str:
        return f"pairs, {self.night}"
