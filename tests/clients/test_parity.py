"""Twenty experiments answered one and the same everywhere, and ramps that move nobody; a sample,
and all units in `make test-clients`.
"""

from __future__ import annotations

import gzip
import itertools
import json
import urllib.request
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.clients import node, parity

SAMPLE, ALL = 10_000, 100_000
PIECE = 5_000
STEPS = range(len(parity.RAMP))


@pytest.fixture(scope="module")
def sample():
    return parity.units(SAMPLE)


def test_units__are_of_every_kind_and_twenty_experiments_meet_them(sample):
    ids = [unit.units["user"] for unit in sample if "user" in unit.units]
    kinds = [
        str.isdecimal,
        lambda text: len(text) == 36 and text.count("-") == 4,
        lambda text: "ь" in text,
        lambda text: "🚀" in text,
    ]
    assert all(sum(map(kind, ids)) > SAMPLE / 5 for kind in kinds)
    met = parity.tally(parity.core(parity.parity_catalogue()), sample)
    assert len(met) == parity.FLAGS
    # Each flag's default and at least one arm, in a shadow control's alone.
    assert all(len(values) >= (2 if flag == "shadow" else 3) for flag, values in met.items()), met


def test_growthbook_python__agrees_with_core__on_a_sample(sample):
    built = parity.parity_catalogue()
    document = parity.payload(built)
    assert (len(document["features"]), document["remoteOnly"]) == (parity.FLAGS, {})
    found = parity.disagreements(parity.core(built), parity.growthbook_python(document), sample)
    assert not found, parity.first(found)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_growthbook_python__agrees_with_core__at_every_step_of_a_ramp(step, sample):
    built = parity.parity_catalogue(step)
    few = parity.growthbook_python(parity.payload(built), flags=parity.RAMPED)
    found = parity.disagreements(parity.core(built), few, sample[:1000], flags=parity.RAMPED)
    assert not found, parity.first(found)


def test_ramps__from_1_to_50_percent__move_nobody(sample):
    legs = [parity.core(parity.parity_catalogue(step), parity.RAMPED) for step in STEPS]
    shares = [parity.tally(leg, sample)["ramped"]["ramped: default"] for leg in legs]
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1] + SAMPLE / 4
    for before, after in itertools.pairwise(legs):
        moved = parity.movers(before, after, sample, parity.RAMPED)
        assert not moved, parity.first(moved)


def test_a_wrong_bucket__would_be_seen(sample):
    built = parity.parity_catalogue()
    document = parity.payload(built)
    rule = next(rule for rule in document["features"]["halves"]["rules"] if "filters" in rule)
    rule["filters"][0]["ranges"][0][1] += 0.001
    assert {
        found.flag
        for found in parity.disagreements(
            parity.core(built), parity.growthbook_python(document), sample[:2000]
        )
    } == {"halves"}


def test_live_installation__serves_growthbook_the_document_that_is_compared(live, sample):
    with parity.published(live, parity.parity_document()):
        served = json.loads(fetched(live, "server"))
        client = json.loads(fetched(live, "client"))
        attributes = [unit.growthbook() for unit in sample[:50]]
        remote = [
            live.post(f"/api/eval/{live.keys['client']}", {"attributes": known}, key=None).json()
            for known in attributes
        ]
    built = parity.parity_catalogue()
    assert served["features"] == parity.payload(built)["features"]
    # The staff are excluded by id, which client keys are not shown: all is remote for them, and
    # there it is the same.
    assert (client["features"], len(client["remoteOnly"])) == ({}, parity.FLAGS)
    far = parity.growthbook_python_each(remote)
    found = parity.disagreements(parity.core(built, client=True), far, sample[:50])
    assert not found, parity.first(found)


def fetched(live, key):
    request = urllib.request.Request(
        f"{live.url}/api/features/{live.keys[key]}", headers={"Accept-Encoding": "gzip"}
    )
    with urllib.request.urlopen(request) as answer:
        return gzip.decompress(answer.read())


# ---------------------------------------------------------------- all units


@pytest.mark.node
@pytest.mark.skipif(bool(node.MISSING), reason=node.MISSING or "everything is there")
def test_growthbook_js__agrees_with_core__for_all_units(tmp_path):
    built = parity.parity_catalogue()
    leg = parity.growthbook_js(parity.payload(built), tmp_path)
    found = parity.disagreements(parity.core(built), leg, parity.units(ALL))
    assert not found, parity.first(found)


@pytest.mark.node
def test_growthbook_python__agrees_with_core__for_all_units():
    with ProcessPoolExecutor(2) as pool:
        found = [one for piece in pool.map(_of_piece, range(0, ALL, PIECE)) for one in piece]
    assert not found, parity.first(found)


@pytest.mark.node
def test_ramps__move_nobody__of_all_units():
    asking = parity.units(ALL)
    for before, after in itertools.pairwise(
        parity.core(parity.parity_catalogue(step), parity.RAMPED) for step in STEPS
    ):
        moved = parity.movers(before, after, asking, parity.RAMPED)
        assert not moved, parity.first(moved)


def _of_piece(first: int) -> list[parity.Disagreement]:
    built = parity.parity_catalogue()
    return parity.disagreements(
        parity.core(built),
        parity.growthbook_python(parity.payload(built)),
        parity.units(PIECE, first),
    )
