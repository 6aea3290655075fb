"""A chain of seals shows what was changed, removed or re-sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.apps import apps

from analytics.core.ground.seals import COLUMNS, SOURCES, START, VERSION, Seal, breaks, chained


def chain(count: int) -> list[Seal]:
    made, before = [], START
    for number in range(1, count + 1):
        digest = f"{number:064d}"
        before = chained(before, "changelog", number, digest)
        made.append(Seal(number, "changelog", number, VERSION, digest, before, digest))
    return made


def test_whole_chain__has_no_breaks():
    assert list(breaks(chain(5))) == []
    assert list(breaks([])) == []


def test_changed_and_removed_rows__are_named():
    seals = chain(4)
    seals[1], seals[2] = replace(seals[1], found="f" * 64), replace(seals[2], found=None)
    found = list(breaks(seals))
    assert [("changed" in one, "gone" in one) for one in found] == [(True, False), (False, True)]
    assert "changelog row 2 (seal 2)" in found[0]


def test_missing_seal__is_named():
    seals = chain(4)
    del seals[1]
    assert list(breaks(seals)) == ["seals 2 to 2 are missing"]


def test_seal_made_anew_over_a_changed_row__breaks_the_one_after_it():
    seals = chain(3)
    seals[1] = replace(
        seals[1],
        row_sha256="f" * 64,
        found="f" * 64,
        sha256=chained(seals[0].sha256, "changelog", 2, "f" * 64),
    )
    assert list(breaks(seals)) == [
        "changelog row 3 (seal 3): the seal does not follow from the one before it"
    ]


@pytest.mark.parametrize("source", SOURCES)
def test_newest_version__covers_every_column(source):
    (model,) = [model for model in apps.get_models() if model._meta.db_table == source]
    assert sorted(COLUMNS[VERSION][source]) == sorted(
        field.column for field in model._meta.concrete_fields
    )
