"""docs/quick-starts.md on a clean installation; on the demo's data in test_demo.py."""

from __future__ import annotations

import re

import pytest

from analytics.services.examples.loading import NOT_DRAFTED
from analytics.services.examples.pilot import KEY as PILOT
from analytics.services.examples.plans import EXAMPLES
from experiments.core.library.templates import BY_KEY
from tests.live import Live, live  # noqa: F401  (a fixture)
from tests.stories import quick_starts
from tests.stories.quick_starts import PAGE

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def test_guide__printed_code__registers_starts_asks_and_compares(live: Live) -> None:
    quick_starts.guide(live)


def test_leads__printed_code_and_calls__serve_track_and_refuse_to_promote_too_early(
    live: Live,
) -> None:
    assert "no decision has been made" in quick_starts.leads(live)


def test_engine__printed_calls__create_start_recommend_convert_and_measure(live: Live) -> None:
    quick_starts.engine(live)


def test_crm__printed_calls__create_start_record_analyse_and_refuse_a_winner_too_early(
    live: Live,
) -> None:
    quick_starts.crm(live)


def test_names_that_the_page_creates__are_free_in_the_demo() -> None:
    created = set(re.findall(r'(?<!_)"?\bname"?[:=] ?"([^"]+)"', PAGE)) - {
        "control",
        "treatment",
        "Control",
        "Treatment - Few Shot Examples",
    }
    specs = [example.spec for example in EXAMPLES] + [
        template.spec for key, template in BY_KEY.items() if key not in NOT_DRAFTED
    ]
    taken = {spec.name for spec in specs} | {spec.key for spec in specs} | {PILOT}
    assert created == {"new_embedding_model", "lora_boost_test", "Lead Qualification Prompt Test"}
    assert not created & taken
