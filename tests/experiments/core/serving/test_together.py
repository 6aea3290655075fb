"""Many asked at once: the answers are those that each gives alone."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from experiments.core.hashing import bucket_of, buckets_under
from experiments.core.serving.assignment import assignment_of
from experiments.core.serving.together import Assigned
from experiments.core.types import Environment, Reason
from tests.experiments.core.serving.catalogues import catalogue, experiment, flag
from tests.experiments.core.serving.random_catalogues import (
    MOMENTS,
    random_catalogue,
    random_request,
)

NOW = MOMENTS[0]


def test_together__whatever_is_asked__answers_as_each_does_alone():
    met: Counter[Reason] = Counter()
    for seed in range(400):
        book, random = random_catalogue(seed), Random(seed)
        for _ in range(20):
            request, now = random_request(random, book), random.choice(MOMENTS)
            asked = request.units, request.attributes, now
            experiments = book.serving(request.environment, request.client)
            alone = [entry.evaluate(*asked) for entry in experiments]
            assert list(book.all_experiments(request.environment, request.client)(*asked)) == alone
            met.update(answer.served.reason for answer in alone)
            flags = book.evaluators(request.environment, request.client).values()
            assert list(book.all_flags(request.environment, request.client)(*asked)) == [
                evaluate(*asked) for evaluate in flags
            ]
    steps = (
        Reason.EXCLUDED,
        Reason.NOT_TARGETED,
        Reason.UNIT_MISSING,
        Reason.HOLDOUT,
        Reason.EXPERIMENT,
        Reason.NOT_IN_EXPERIMENT,
    )
    assert (
        min(
            met[reason]
            for reason in (*steps, Reason.SWITCHED_OFF, Reason.OVERRIDE, Reason.ARM_STOPPED)
        )
        > 50
    ), met


def test_together__several_targetings__keeps_the_order_of_the_flags():
    rules = [[{"attribute": "a", "op": "eq", "value": value}] for value in (1, True, 1)]
    book = catalogue(
        *(flag(f"f{n}", experiment=experiment(f"e{n}", targeting=rules[n % 3])) for n in range(7))
    )
    found = book.all_experiments()({"user": "u1"}, {"a": 1}, NOW)
    assert [served.experiment for served in found.served] == [f"e{n}" for n in range(7)]
    reasons = [served.reason for served in found.served]
    # One and true are different things, though Python has them equal.
    assert [reason is Reason.NOT_TARGETED for reason in reasons] == [n % 3 == 1 for n in range(7)]


def test_together__nothing_serves__is_empty():
    found = catalogue(flag("f")).all_experiments(Environment.TEST)({"user": "u1"}, {}, NOW)
    assert (len(found), list(found)) == (0, [])


def test_assigned__columns__are_the_answers_they_were_made_of():
    served = catalogue(flag("f")).all_flags()({}, {}, NOW).served[0]
    first, second = assignment_of(served, "u1", 5), assignment_of(served)
    both = Assigned.joined([Assigned.of([first]), Assigned.of([second])])
    assert list(both) == [first, second]
    assert list(both.at([1, 0])) == [second, first]
    assert first in both
    assert assignment_of(served, "u2") not in both


@given(st.lists(st.text("0123456789abcdef", min_size=1, max_size=12)), st.text(min_size=1))
def test_buckets_under__any_unit__are_bucket_of_each_seed(seeds, unit_id):
    assert buckets_under([seed.encode() for seed in seeds], unit_id) == [
        bucket_of(seed, unit_id) for seed in seeds
    ]
