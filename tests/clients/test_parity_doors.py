"""The same twenty experiments through our own doors and our SDK, on a live installation."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest

from experiments.sdk import AssayClient
from tests.clients import own_doors, parity

SAMPLE, FEW, ALL = 10_000, 2_000, 100_000
KEYS = [flag["key"] for flag in parity.parity_document()["flags"]]
LAST = len(parity.RAMP) - 1


@pytest.fixture(scope="module")
def served(live):
    with parity.published(live, parity.parity_document()):
        yield live


@pytest.fixture(scope="module")
def client(served):
    with AssayClient(served.url, served.keys["server"]) as fetched:
        assert fetched.wait_ready(10)
        yield fetched


@pytest.fixture(scope="module")
def core():
    return parity.core(parity.parity_catalogue())


@pytest.fixture(scope="module")
def sample():
    return parity.units(SAMPLE)


def test_assignment_door__agrees_with_core__on_a_sample(served, core, sample):
    found = parity.disagreements(core, own_doors.rest(served, KEYS), sample)
    assert not found, parity.first(found)


def test_openfeatures_door__agrees_with_core__on_a_sample(served, core, sample):
    found = parity.disagreements(core, own_doors.ofrep(served), sample[:FEW])
    assert not found, parity.first(found)


def test_sdk__agrees_with_core__on_a_sample(client, core, sample):
    found = parity.disagreements(core, own_doors.sdk(client, KEYS), sample)
    assert not found, parity.first(found)


def test_another_catalogue__would_be_seen_through_every_door(served, client, sample):
    earlier = parity.core(parity.parity_catalogue(LAST - 1))
    for leg in (own_doors.rest(served, KEYS), own_doors.ofrep(served), own_doors.sdk(client, KEYS)):
        assert {one.flag for one in parity.disagreements(earlier, leg, sample[:1000])} == set(
            parity.RAMPED
        )


def test_ramps__from_1_to_50_percent__move_nobody_at_the_assignment_door(live, sample):
    door = own_doors.rest(live, parity.RAMPED)
    seen = []
    with ExitStack() as catalogues:
        for step in range(LAST + 1):
            catalogues.enter_context(parity.published(live, parity.parity_document(step)))
            seen.append(list(door(sample)))
    in_test = [sum(answers["ramped"].arm is not None for answers in step) for step in seen]
    assert in_test == sorted(in_test) and in_test[0] < SAMPLE / 50 < SAMPLE / 3 < in_test[-1]
    for before, after in itertools.pairwise(map(own_doors.heard, seen)):
        moved = parity.movers(before, after, sample, parity.RAMPED)
        assert not moved, parity.first(moved)


# ---------------------------------------------------------------- all units


@pytest.mark.node
def test_assignment_door__agrees_with_core__for_all_units(served, core):
    found = parity.disagreements(core, own_doors.rest(served, KEYS), parity.units(ALL))
    assert not found, parity.first(found)


@pytest.mark.node
def test_sdk__agrees_with_core__for_all_units(client, core):
    found = parity.disagreements(core, own_doors.sdk(client, KEYS), parity.units(ALL))
    assert not found, parity.first(found)
