"""Kept SQL: filled with an experiment's values it is the text that compiling its question gives,
and it is compiled once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.kinds import kind_of
from analytics.stores import compiled as kept
from analytics.stores import cost_forms, expressions, forms, guard_forms, scan_forms
from analytics.stores.base import OWN_PAST, Declared, OtherIteration, Population
from analytics.stores.compiled import compiled, statement
from analytics.stores.forms import Question
from analytics.stores.postgres import _number_from_map, _unit_from_map
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.library.metrics import LIBRARY
from experiments.core.types import Phase

moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)
ids = st.integers(1, 2**40)
pauses = st.lists(
    st.tuples(moments, st.timedeltas(timedelta(hours=25), timedelta(days=9))),
    max_size=3,
    unique_by=lambda pause: pause[0],
)
"""Real pauses do not overlap. Two equal ones would be written once by the compiler and twice by the
filled text: same answer.
"""


@st.composite
def populations(draw) -> Population:
    return Population(
        experiment_id=draw(ids),
        iteration_id=draw(ids),
        unit_type=draw(st.sampled_from(["user", "visitor"])),
        cut=draw(moments),
        phase=draw(st.sampled_from([Phase.MAIN, Phase.DARK])),
        exposed_from=draw(st.none() | moments),
        rows_from=draw(st.none() | moments),
        blackouts=tuple((begins, begins + long) for begins, long in draw(pauses)),
        variants=draw(st.sampled_from([(), (7, 9)])),
        split=draw(
            st.sampled_from([None, OtherIteration(12345), Declared("country", ("de", "fr"))])
        ),
    )


def same(filled: str, text: str) -> bool:
    """Equal but for line breaks, which depend on how long a number is."""
    assert "".join(filled.split()) == "".join(text.split())
    return True


def question(people: Population, metric: MetricDefinition, matured: bool = True) -> Question:
    return Question(people, metric, matured, _unit_from_map, _number_from_map)


@settings(max_examples=12)
@given(people=populations(), metric=st.sampled_from(LIBRARY), matured=st.booleans())
def test_filled__is_the_text_that_the_question_itself_compiles_to(people, metric, matured) -> None:
    asked, form = question(people, metric, matured), kind_of(metric.kind.value).form
    if form == "ratio":
        assert same(statement(forms.ratio_per_unit, asked), compiled(forms.ratio_per_unit(asked)))
    elif form == "unit":
        assert same(statement(forms.number_per_unit, asked), compiled(forms.number_per_unit(asked)))
        assert same(
            statement(forms.with_covariate, asked, OWN_PAST, False),
            compiled(forms.with_covariate(asked, OWN_PAST, False)),
        )
    else:
        hats = {3: 0.1 + 0.2, 2**35: 1e-7, 5: 1e21}
        counted = forms.times_per_bucket if form == "time" else forms.bucket_counts
        assert same(statement(forms.histogram, asked), compiled(forms.histogram(asked)))
        assert same(statement(counted, asked, limits=hats), compiled(counted(asked, hats)))


@settings(max_examples=6)
@given(people=populations())
def test_other_questions__are_filled_as_exactly(people) -> None:
    assert same(statement(expressions.arms, people), compiled(expressions.arms(people)))
    assert same(
        statement(cost_forms.spending, people, _unit_from_map),
        compiled(cost_forms.spending(people, _unit_from_map)),
    )
    assert same(
        statement(guard_forms.spent, people, _unit_from_map),
        compiled(guard_forms.spent(people, _unit_from_map)),
    )
    asked = question(people, LIBRARY[0])
    assert same(statement(scan_forms.wearing, asked, 7), compiled(scan_forms.wearing(asked, 7)))
    assert same(statement(scan_forms.followed, asked, 28), compiled(scan_forms.followed(asked, 28)))


def test_second_experiment__with_the_same_metric__compiles_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = Population(
        experiment_id=1, iteration_id=2, unit_type="user", cut=datetime(2026, 3, 2, tzinfo=UTC)
    )
    first = statement(forms.number_per_unit, question(people, LIBRARY[0]))

    def never(_: object) -> str:
        raise AssertionError("compiled again")

    monkeypatch.setattr(kept, "compiled", never)
    other = replace(people, experiment_id=3, iteration_id=4, cut=people.cut + timedelta(minutes=5))
    assert statement(forms.number_per_unit, question(other, LIBRARY[0])) != first


def test_new_version_of_a_metric__is_another_text() -> None:
    people = Population(
        experiment_id=1, iteration_id=2, unit_type="user", cut=datetime(2026, 3, 2, tzinfo=UTC)
    )
    metric = LIBRARY[0]
    wider = replace(
        metric, version=metric.version + 1, window_hours=(metric.window_hours or 24) + 24
    )
    assert statement(forms.number_per_unit, question(people, metric)) != statement(
        forms.number_per_unit, question(people, wider)
    )
