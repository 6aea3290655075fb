"""A switched-off flag reaches the documented GrowthBook clients within ten seconds, with the real
packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from config.processes.embedded.place import PROJECT
from experiments.core.snippets import Wire, snippets
from experiments.core.types import FlagType
from tests.clients import node
from tests.clients.test_docs_clients import EXAMPLES

WITHIN = 10.0
JS = [
    pytest.mark.node,
    pytest.mark.skipif(bool(node.MISSING), reason=node.MISSING or "everything is there"),
]
AGAIN = {
    "GrowthBook, JavaScript": "setInterval(show, 200);",
    "GrowthBook, Node": 'setInterval(() => console.log(answer({ id: "user-42" }).colour), 200);',
    "GrowthBook, Python": (
        "import time\nwhile True:\n"
        "    book = GrowthBook(api_host=host, client_key=key, attributes=attributes, cache_ttl=5)\n    book.load_features()\n"
        '    print(book.get_feature_value("button_colour", {"colour": "blue"})["colour"], flush=True)\n    time.sleep(0.2)'
    ),
}
"""What a page or server does next: it asks again and again."""


def _started(title: str, code: str, folder) -> subprocess.Popen[str]:
    if title == "GrowthBook, Python":
        (folder / "main.py").write_text(code)
        environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, folder / "main.py"], stdout=subprocess.PIPE, text=True, env=environment
        )
    script = node.installed() / f"kill_{os.getpid()}.mjs"
    script.write_text(code)
    return subprocess.Popen(["node", script], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=[] if "Python" in title else JS) for title in AGAIN]
)
def test_documented_client__kill_switch__is_served_within_ten_seconds(live, tmp_path, title):
    key = f"kill_{title.split()[-1].lower()}"
    arms = [
        {"name": name, "traffic_allocation": 50, "value": {"colour": "red"}}
        for name in ("control", "treatment")
    ]
    live.flag(key, type="object", default={"colour": "off"}, client_visible=True)
    live.experiment(key, variants=arms, flag=key)
    live.settle()
    code = f"{EXAMPLES[title][1]}\n{AGAIN[title]}".replace("button_colour", key).replace(
        "https://assay.example.com", live.url
    )
    for scope in ("server", "client"):
        code = code.replace(f"assay_{scope}_…", live.keys[scope])
    running = _started(title, code, tmp_path)
    seen: list[tuple[float, str]] = []
    reader = threading.Thread(target=_read, args=(running, seen), daemon=True)
    reader.start()
    try:
        _until(seen, "red", 20)
        assert running.poll() is None, "the program must go on by itself"
        switched = time.monotonic()
        live.manage("PATCH", f"/api/v1/flags/{key}", {"enabled": False, "reason": "it hurts"})
        assert _until(seen, "off", WITHIN + 5, since=switched) - switched < WITHIN
    finally:
        running.kill()
        running.wait()
        reader.join(10)
        if running.stdout is not None:
            running.stdout.close()


def _read(running: subprocess.Popen[str], seen: list[tuple[float, str]]) -> None:
    seen.extend((time.monotonic(), line.strip()) for line in running.stdout or ())


def _until(seen: list[tuple[float, str]], wanted: str, seconds: float, since: float = 0.0) -> float:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = next((at for at, text in list(seen) if text == wanted and at >= since), None)
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(
        f"{wanted!r} was not shown within {seconds} s; the last lines were {seen[-3:]}"
    )


def test_snippets__of_growthbook__poll():
    wire = Wire("checkout", FlagType.OBJECT, {}, "https://assay.example.com")
    code = {one.name: one.code for one in snippets(wire)}
    assert all(
        "pollingInterval: 5000" in code[name] for name in ("growthbook-js", "growthbook-node-js")
    )
    assert "cache_ttl=5" in code["growthbook"]
    assert json.dumps(wire.default) in code["growthbook-js"]
