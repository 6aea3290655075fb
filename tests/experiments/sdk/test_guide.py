"""The SDK's page: its code runs as it is printed."""

from __future__ import annotations

import ast
import re
import sys

import pytest

pytest.importorskip("openfeature", reason="openfeature-sdk is not installed")

import experiments.sdk
import experiments.sdk.openfeature
from config.processes.embedded.place import PROJECT
from tests.experiments.core.serving.catalogues import document, experiment, flag
from tests.experiments.sdk.platform import KEY


@pytest.fixture
def served(platform, monkeypatch):
    monkeypatch.setitem(sys.modules, "assay_sdk", experiments.sdk)
    monkeypatch.setitem(sys.modules, "assay_sdk.openfeature", experiments.sdk.openfeature)
    button = experiment("checkout_button")
    for arm in button["variants"]:
        arm["config"] = {"colour": arm["key"]}
    limit = flag("search_limit", type="integer", default=7)
    platform.catalogue = document(
        flag("button", experiment=button), limit, flag("new_search", type="boolean", default=True)
    )
    return platform


@pytest.mark.parametrize("page", ["docs/sdk.md", "sdk/README.md"])
def test_page__its_code_runs(served, tmp_path, page):
    text = (PROJECT / page).read_text().replace('"/var/lib/app/assay"', "folder")
    text = text.replace('"https://assay.example.com", key="assay_server_…"', "url, key")
    names = {"url": served.url, "key": KEY, "user_id": 17, "folder": tmp_path}
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for statement in ast.parse("\n".join(blocks)).body:
        exec(compile(ast.Module([statement], []), page, "exec"), names)
        assert "client" not in names or names["client"].wait_ready()
    names["client"].close()
    assert names["colour"] in {"control", "treatment"}
    assert names["client"].counts.rejected == 0
    assert {item["event_type"] for item in served.told["events"]} >= {"booked"}
    assert names.get("limit", 7) == 7
    if "api" in names:
        names["api"].clear_providers()
