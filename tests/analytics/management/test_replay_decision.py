"""``manage.py replay_decision``: the same answer from the same facts, and a difference that is said
aloud.
"""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from analytics.models import Decision
from analytics.services.analysis.analysis import ENGINE
from tests.analytics.services.analysis.test_decisions import harmful

pytestmark = pytest.mark.django_db


def _printed(pk: int, *words: str) -> str:
    out = StringIO()
    call_command("replay_decision", str(pk), *words, stdout=out)
    return out.getvalue()


def _copy(row: Decision, **changed: object) -> Decision:
    """The decision once more with something else in it; stored ones cannot be changed."""
    columns = {
        name: getattr(row, name)
        for name in (
            "iteration",
            "verdict",
            "outcome",
            "variant",
            "arms",
            "rule",
            "facts",
            "versions",
        )
    }
    return Decision.objects.create(**{**columns, "made_at": row.made_at, **changed})


def test_replay__stored_decision__gives_the_same_with_versions() -> None:
    row = Decision.objects.get(iteration=harmful().iteration)
    said = _printed(row.pk, "--facts")
    assert "harmful, iteration 1, between looks" in said
    assert f"engine {ENGINE} then, {ENGINE} now; metrics complained v1" in said
    assert "the same answer from the same facts" in said
    assert '"arms": [' in said


def test_replay__planted_difference__is_shown_and_ends_with_one() -> None:
    row = Decision.objects.get(iteration=harmful().iteration)
    planted = _copy(row, verdict="keep", outcome="")
    out = StringIO()
    with pytest.raises(
        CommandError, match=f"decision {planted.pk}: different now in verdict, outcome"
    ) as refused:
        call_command("replay_decision", str(planted.pk), stdout=out)
    assert refused.value.returncode == 1
    assert "verdict:  keep\n     now: stop" in out.getvalue()


def test_replay__facts_of_another_shape_or_no_decision__say_so() -> None:
    row = Decision.objects.get(iteration=harmful().iteration)
    odd = _copy(row, facts={"arms": 3})
    with pytest.raises(CommandError, match=f"of a shape that engine {ENGINE} cannot read"):
        _printed(odd.pk)
    with pytest.raises(CommandError, match="decision 999999: there is none"):
        _printed(999_999)
