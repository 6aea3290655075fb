"""The lines that the admin offers to paste: each runs as it stands, against a live installation,
and gets what the user gets.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from experiments.core.snippets import Wire, snippets
from experiments.core.types import FlagType
from tests.clients import node
from tests.clients.test_docs_clients import ENDS, _node, _python, _shell

ARMS = [{"name": "control", "traffic_allocation": 50, "value": {"colour": "green"}}]
ARMS += [{"name": "treatment", "traffic_allocation": 50, "value": {"colour": "red"}}]
TENANTS = Wire(
    "pasted",
    FlagType.OBJECT,
    {"colour": "grey", "bold": False},
    "BASE",
    "tenant",
    "pasted",
    (("event", "pasted_used"),),
)
SCORED = replace(TENANTS, sent=(("observation", "pasted_score"),))
USERS = Wire("pasted_switch", FlagType.BOOLEAN, False, "BASE")
NAMES = [one.name for one in snippets(USERS)]
END = {
    "growthbook": ENDS["GrowthBook, Python"],
    "openfeature-js": ENDS["OpenFeature, JavaScript in browsers"],
}


@pytest.fixture(scope="module")
def served(live):
    live.experiment("pasted", variants=ARMS, client_visible=True, unit_type="tenant")
    live.flag("pasted_switch", type="boolean", default=True, client_visible=True)
    live.settle()
    return live


def _run(live, wire, name, folder):
    code = next(one for one in snippets(wire) if one.name == name).code.replace("BASE", live.url)
    for scope in ("server", "client"):
        code = code.replace(f"assay_{scope}_…", live.keys[scope])
    code = code.replace("/var/lib/app/assay", str(folder))
    code = code.replace("an-id-of-yours", f"{wire.flag} {folder.name}")
    if name == "curl":
        return _shell(code, folder)
    shown = (
        "console.log(JSON.stringify(value));"
        if name.endswith("js")
        else "import json\nprint(json.dumps(value))"
    )
    return (_node if name.endswith("js") else _python)(
        f"{code}\n{shown}\n{END.get(name, '')}", folder
    )


def _cases():
    for name in NAMES:
        missing = pytest.mark.skipif(
            bool(node.MISSING), reason=node.MISSING or "everything is there"
        )
        yield pytest.param(name, marks=[pytest.mark.node, missing] if name.endswith("js") else [])


@pytest.mark.parametrize("name", _cases())
def test_snippet__of_an_experiment_of_tenants__gets_the_tenants_variant(served, name, tmp_path):
    printed = _run(served, TENANTS, name, tmp_path)
    body = {"units": {"tenant": "tenant-42"}, "experiments": ["pasted"], "exposure": "none"}
    mine = served.post("/api/v1/assignments", body).json()["assignments"][0]
    assert mine["reason"] == "experiment"
    if name == "curl":
        answer, told = map(json.loads, printed.replace("}{", "}\n{").splitlines())
        assert (
            answer["assignments"][0]["variant"] == mine["variant"]
            and told["accepted"] + told.get("duplicates", 0) == 1
        )
    else:
        assert json.loads(printed) == mine["value"]


def test_snippets__of_what_is_observed__observe_it_and_nothing_else(served, tmp_path):
    told = {one.name: one.code for one in snippets(SCORED)}
    assert 'client.observe("pasted_score", 1.0, ' in told["sdk"]
    assert not [name for name, code in told.items() if "order_completed" in code]
    printed = _run(served, SCORED, "curl", tmp_path)
    _, answer = map(json.loads, printed.replace("}{", "}\n{").splitlines())
    assert answer["accepted"] == 1, answer


@pytest.mark.parametrize("name", _cases())
def test_snippet__of_a_flag_without_experiment__gets_its_default(served, name, tmp_path):
    answers = [
        json.loads(line)
        for line in _run(served, USERS, name, tmp_path).replace("}{", "}\n{").splitlines()
    ]
    assert (answers[0]["value"] if name == "curl" else answers[0]) is True
