"""The page of clients: each example runs as it is printed, against a live installation, and what it
shows and tells is right.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest

from config.processes.embedded.place import PROJECT
from tests.clients import node

PAGE = PROJECT / "docs" / "clients.md"
ARMS = [{"name": "control", "traffic_allocation": 50, "value": {"colour": "green"}}]
ARMS += [{"name": "treatment", "traffic_allocation": 50, "value": {"colour": "red"}}]
"""Neither is the examples' fallback."""
RUN = ("python", "js", "sh")
BLOCK = re.compile(rf"^```({'|'.join(RUN)})\n(.*?)^```", re.MULTILINE | re.DOTALL)
TELL_ORDERS = {"Segment", "Our SDK, Python", "curl"}
ENDS = {
    "GrowthBook, Python": "import threading\n[sending.join(10) for sending in threading.enumerate()[1:]]",
    "OpenFeature, JavaScript in browsers": "await OpenFeature.close();",
}
"""What ends a program where a server, or a browser's page, would stay."""


def examples():
    """By section: the language and the code, blocks that belong together as one."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {section.partition("\n")[0]: BLOCK.findall(section) for section in sections}
    return {
        title: (blocks[0][0], "\n".join(code for _, code in blocks))
        for title, blocks in found.items()
    }


EXAMPLES = examples()
OURS = [title for title, (language, _) in EXAMPLES.items() if language != "js"]
SCRIPTS = [title for title, (language, _) in EXAMPLES.items() if language == "js"]


@pytest.fixture(scope="module")
def served(live):
    live.experiment("button_colour", variants=ARMS, client_visible=True)
    live.settle()
    return live


@pytest.fixture
def run(served, tmp_path):
    """Run a section's code for a user of its own; what it printed, and what that user gets."""

    def _run(title):
        language, code = EXAMPLES[title]
        user = f"{title} 42"
        body = {"unit": user, "experiments": ["button_colour"], "exposure": "none"}
        mine = served.post("/api/v1/assignments", body).json()["assignments"][0]
        places = {
            "https://assay.example.com": served.url,
            "/var/lib/app/assay": str(tmp_path),
            "user-42": user,
        }
        places |= {
            f"assay_{scope}_…": served.keys[scope] for scope in ("server", "client", "ingest")
        }
        places |= {'"treatment"': json.dumps(mine["variant"])}
        for place, found in places.items():
            code = code.replace(place, found)
        assert "example.com" not in code and "…" not in code
        return {"python": _python, "js": _node, "sh": _shell}[language](
            f"{code}\n{ENDS.get(title, '')}", tmp_path
        ), mine

    return _run


def test_page__has_an_example_for_every_client():
    assert {*OURS, *SCRIPTS} >= {
        *TELL_ORDERS,
        *ENDS,
        "OpenFeature, Python",
        "GrowthBook, JavaScript",
    }
    assert "](docs/clients.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("title", OURS)
def test_example__shows_and_tells_what_the_user_got(served, run, title):
    printed, mine = run(title)
    _check(served, title, printed, mine)


@pytest.mark.node
@pytest.mark.skipif(bool(node.MISSING), reason=node.MISSING or "everything is there")
@pytest.mark.parametrize("title", SCRIPTS)
def test_script__shows_and_tells_what_the_user_got(served, run, title):
    printed, mine = run(title)
    _check(served, title, printed, mine)


def _check(live, title, printed, mine):
    if title == "curl":
        answer, told = map(json.loads, printed.replace("}{", "}\n{").splitlines())
        assert answer["assignments"] == [mine] and told["accepted"] == 1
    else:
        assert printed.strip() == ("" if title == "Segment" else mine["value"]["colour"])
    assert _met(live, title) == [(mine["variant"], 1)]
    orders = live.sql("SELECT event_type, value FROM ai_events WHERE user_id = %s", f"{title} 42")
    assert orders == ([("order_completed", 19.5)] if title in TELL_ORDERS else [])


def _met(live, title, seconds=15):
    query = "SELECT v.key, exposure_count FROM experiment_assignments JOIN experiment_variants v USING (variant_id) WHERE user_id = %s"
    end = time.monotonic() + seconds
    while not (rows := live.sql(query, f"{title} 42")) and time.monotonic() < end:
        time.sleep(0.1)
    return rows


def _python(code, folder):
    """The distribution's name stands for the code of this tree; that it is the same code its own
    test shows.
    """
    (folder / "assay_sdk.py").write_text(
        "import sys\nimport experiments.sdk\nsys.modules[__name__] = experiments.sdk\n"
    )
    return _printed([sys.executable, "-c", code], {"PYTHONPATH": f"{folder}:{PROJECT}"})


def _shell(code, folder):
    return _printed(["sh", "-euc", code])


def _node(code, folder):
    name = f"{folder.name}.mjs"
    script = node.installed() / name
    script.write_text(code, encoding="utf-8")
    try:
        return node.run(name)
    finally:
        script.unlink()


def _printed(command, environment=None):
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
