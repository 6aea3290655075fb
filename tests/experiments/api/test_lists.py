"""Lists: narrowed by filters that refuse what they do not know, in pages of a stated size."""

from __future__ import annotations

import pytest

from experiments.core.types import Scope
from tests.experiments.api.conftest import doors_of
from tests.experiments.api.test_experiments import CRM, RECOMMENDER, URL


@pytest.fixture(scope="module")
def three(rows_of_the_file, folders_of_the_file):
    """Three experiments, for all tests of this file."""
    made = doors_of("olga").client(Scope.MANAGEMENT)
    made.post(URL, RECOMMENDER | {"tags": ["ranking", "q1"]})
    made.post(URL, CRM | {"policy": "ai-low", "target_percentage": 10.0, "unit_type": "tenant"})
    made.post(URL, {"name": "third", "variants": [{"name": "a"}, {"name": "b"}]})
    made.post(f"{URL}/third/start")
    return made


@pytest.fixture
def tools(three, db):
    """The same for each test: what a test does is rolled back."""
    return three


def names(tools, query, url=URL):
    answer = tools.get(f"{url}?{query}")
    assert answer.status_code == 200, answer.content
    return {one["name"] for one in answer.json()["experiments"]}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=running", {"third"}),
        ("status=running&status=draft", {"third", RECOMMENDER["name"], CRM["name"]}),
        ("status=running&experiment_type=prompt", set()),
        ("experiment_type=prompt", {CRM["name"]}),
        ("unit_type=tenant", {CRM["name"]}),
        ("policy=ai-low", {CRM["name"]}),
        ("tag=q1", {RECOMMENDER["name"]}),
        ("search=LORA", {RECOMMENDER["name"]}),
        ("flag=third", {"third"}),
        ("owner=olga&origin=live", {"third", RECOMMENDER["name"], CRM["name"]}),
        ("owner=nobody", set()),
        ("created_after=2020-01-01T00:00:00Z&created_before=2020-01-02T00:00:00Z", set()),
    ],
)
def test_experiments__filters__narrow(tools, query, found):
    assert names(tools, query) == found


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("status=runing", "status", "expected one of draft, dark_launch, running"),
        ("origin=x", "origin", "expected one of live, import, found 'x'"),
        ("created_after=yesterday", "created_after", "valid date"),
        ("statuss=running", "statuss", "unknown filter 'statuss'; known are created_after"),
        ("limit=501", "limit", "0 to 500"),
        ("offset=-1", "offset", "whole number"),
    ],
)
@pytest.mark.parametrize("url", [URL, "/ops/experiments"])
def test_experiments__bad_filter__is_refused_by_name(tools, query, field, said, url):
    answer = tools.get(f"{url}?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert said in answer.json()["error"]["message"]


def test_experiments__pages__join_without_gap_or_overlap(tools):
    pages = [tools.get(f"{URL}?limit=2&offset={offset}").json() for offset in (0, 2, 4)]
    assert [len(page["experiments"]) for page in pages] == [2, 1, 0]
    assert {(page["total"], page["limit"]) for page in pages} == {(3, 2)}
    assert len({one["id"] for page in pages for one in page["experiments"]}) == 3


def test_operators__filters_and_pages__apply_too(tools):
    body = tools.get("/ops/experiments?status=running").json()
    assert (list(body["experiments"]), body["total"]) == (["third"], 1)
    assert len(tools.get("/ops/experiments?limit=1&offset=1").json()["experiments"]) == 1


def test_operators__archived__only_when_asked_for(tools):
    for verb in ("stop", "archive"):
        assert tools.post(f"{URL}/third/{verb}", {"reason": "we saw enough"}).status_code == 200
    assert "third" not in tools.get("/ops/experiments").json()["experiments"]
    assert list(tools.get("/ops/experiments?status=archived").json()["experiments"]) == ["third"]


def test_flags__filters_and_pages(tools):
    tools.post(
        "/api/v1/flags",
        {"key": "ai_coach", "type": "boolean", "default": False, "client_visible": True},
    )
    assert [f["key"] for f in tools.get("/api/v1/flags?type=boolean").json()["flags"]] == [
        "ai_coach"
    ]
    assert [
        f["key"]
        for f in tools.get("/api/v1/flags?client_visible=true&enabled=true").json()["flags"]
    ] == ["ai_coach"]
    assert [f["key"] for f in tools.get("/api/v1/flags?search=COACH").json()["flags"]] == [
        "ai_coach"
    ]
    paged = tools.get("/api/v1/flags?limit=1").json()
    assert (len(paged["flags"]), paged["total"]) == (1, 4)
    assert tools.get("/api/v1/flags?type=text").status_code == 400


def test_offline_evaluations_and_history__are_paged(tools):
    for value in (0.1, 0.2, 0.3):
        scored = {"variant": "treatment", "metric": "auc", "value": value}
        assert tools.post(f"{URL}/lora_boost_test/offline-evaluations", scored).status_code == 201
    body = tools.get(f"{URL}/lora_boost_test/offline-evaluations?limit=2&offset=1").json()
    assert ([row["value"] for row in body["offline_evaluations"]], body["total"]) == ([0.2, 0.1], 3)
    assert tools.get(f"{URL}/lora_boost_test/history?limit=1").json()["limit"] == 1
