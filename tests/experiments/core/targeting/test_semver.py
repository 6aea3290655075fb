"""Versions: the specification's own order, what is no version, and the order's properties."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.targeting.semver import full, precedence

SECTION_11 = (
    "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "2.0.0",
    "2.1.0", "2.1.1", "2.1.10", "2.9.0", "2.10.0", "10.0.0-1", "10.0.0-9", "10.0.0-10", "10.0.0-a", "10.0.0",
)  # fmt: skip
"""The order that section 11 prints, and what a comparison of texts would get wrong."""


def test_precedence__specification_s_order():
    for lower, higher in itertools.combinations(SECTION_11, 2):
        assert precedence(lower) < precedence(higher), (lower, higher)


def test_precedence__build_metadata__counts_for_nothing():
    assert precedence("1.0.0-rc.1+exp.sha.5114f85") == precedence("1.0.0-rc.1")
    assert precedence("1.0.0+001") == precedence("1.0.0")


@pytest.mark.parametrize(
    "text",
    ["", "v", "vv1.0.0", "v 1", "1.", ".1", " 1.0.0", "1.0.0\n", "01.0.0",
      "1.0.0-01", "1.0.0-", "1.0.0-a..b", "1.0.0+", "1.0.0-ä", "١.٠.٠", "1.0.0.0",
     "9" * 300 + ".0.0", 1, 1.0, None, True, ["1.0.0"]],
)  # fmt: skip
def test_precedence__no_version__cannot_be_said(text):
    assert precedence(text) is None


identifiers = st.one_of(
    st.integers(0, 99).map(str), st.from_regex(r"[A-Za-z-][0-9A-Za-z-]{0,3}", fullmatch=True)
)
versions = st.builds(
    lambda core, pre: ".".join(map(str, core)) + ("-" + ".".join(pre) if pre else ""),
    st.tuples(*[st.integers(0, 30)] * 3),
    st.lists(identifiers, max_size=3),
)


@given(versions, versions)
def test_precedence__of_two_versions__is_the_same_only_for_the_same_text(one, other):
    keys = precedence(one), precedence(other)
    assert None not in keys
    assert (keys[0] == keys[1]) == (one == other)


@given(st.text(max_size=40))
def test_precedence__any_text__never_raises(text):
    precedence(text)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("1", "1.0.0"),
        ("1.0", "1.0.0"),
        ("v2.1.0", "2.1.0"),
        ("V2.1-rc.1+b.2", "2.1.0-rc.1+b.2"),
        ("v3+x-1", "3.0.0+x-1"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_full__of_a_version_with_a_v_or_without_all_numbers__is_the_same_version(text, whole):
    assert full(text) == whole
    assert precedence(text) == precedence(whole) is not None


@given(versions)
def test_full__of_a_whole_version__is_itself(text):
    assert full(text) == full(f"v{text}") == text
