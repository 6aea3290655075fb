"""Until when the newest analysis of an experiment is known to be right."""

from __future__ import annotations

from datetime import datetime

from analytics.models import SlowWorkDone


def judged_until(experiment_id: int, computed_at: datetime) -> datetime:
    """When it was computed; later if wake-ups since then found that nothing had been stored."""
    done = SlowWorkDone.objects.filter(kind="analyse", subject=experiment_id)
    return max(computed_at, done.values_list("confirmed_at", flat=True).first() or computed_at)
