"""Segments, read: as serving carries them, as a sign-off judges them, and who relies on them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q

from experiments.core.life.lifecycle import SERVING
from experiments.core.serving.catalogue_document import SegmentDocument
from experiments.core.targeting.conditions import SEGMENT_WORDS, segments_in
from experiments.core.types import JSON
from experiments.models import ExclusionList, Experiment, Rollout, Segment, SegmentUnit


def documents(keys: Iterable[str]) -> list[SegmentDocument]:
    """These segments as the catalogue carries them, by key; unknown keys are left out."""
    rows = list(Segment.objects.filter(key__in=set(keys)).order_by("key"))
    ids = _ids(row.pk for row in rows)
    return [{"key": row.key, "ids": ids[row.pk], "rules": row.rules} for row in rows]


def content(targeting: JSON) -> JSON:
    """What the segments in this targeting hold, as a verdict judges it; ``None`` when it names
    none.

    Ids appear as their number and the SHA-256 of their sorted list: a verdict is kept for ever and
    must not keep people's ids with it.
    """
    named = segments_in(targeting)
    return {document["key"]: _judged(document) for document in documents(named)} if named else None


def relying_on(key: str) -> tuple[str, ...]:
    """What would change its audience with this segment and may not: launched experiments, and open
    rollouts.
    """
    launched = (
        Experiment.objects.filter(_names(key, "targeting"), status__in=SERVING)
        .order_by("key")
        .values_list("key", "status")
    )
    rolled_out = Rollout.objects.filter(
        _names(key, "audience__targeting"), closed_at__isnull=True
    ).order_by("flag_id")
    return (
        *(f"experiment {name} ({status.replace('_', ' ')})" for name, status in launched),
        *(
            f"the rollout on flag {rollout.flag.key}"
            for rollout in rolled_out.select_related("flag")
        ),
    )


def drafts_naming(key: str) -> list[str]:
    """Drafts whose targeting asks about this segment; their sign-offs fall when it changes."""
    found = Experiment.objects.filter(_names(key, "targeting"), status="draft")
    return list(found.order_by("key").values_list("key", flat=True))


def exclusions_naming(key: str) -> list[str]:
    """Exclusion lists whose rule asks about this segment; they follow its changes."""
    return list(
        ExclusionList.objects.filter(_names(key, "rule"))
        .order_by("name")
        .values_list("name", flat=True)
    )


def _names(key: str, field: str) -> Q:
    asked = Q()
    for word in SEGMENT_WORDS:
        asked |= Q(**{f"{field}__contains": [{"op": word, "value": key}]})
    return asked


def _ids(segments: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    units = SegmentUnit.objects.filter(segment__in=list(segments)).order_by("unit_type", "unit_id")
    for segment_id, unit_type, unit_id in units.values_list("segment_id", "unit_type", "unit_id"):
        found[segment_id][unit_type].append(unit_id)
    return found


def _judged(document: SegmentDocument) -> JSON:
    ids: dict[str, JSON] = {
        unit_type: {"count": len(ids), "sha256": _digest(sorted(ids))}
        for unit_type, ids in document["ids"].items()
    }
    rules: list[JSON] = [list(rule) for rule in document["rules"]]
    return {"rules": rules, "ids": ids}


def _digest(ids: list[str]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()
