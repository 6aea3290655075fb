"""Static files are packed and named by their content when they are collected; browsers keep them
for good.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

from config.processes.embedded.place import PROJECT

LOOK = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
from django.test import Client
from django.templatetags.static import static
address = static("unfold/css/styles.css")
answer = Client().get(address, headers={"Accept-Encoding": "gzip", "Host": "localhost"})
told = [answer.headers.get("Content-Encoding", "none"), answer.headers.get("Vary", ""), answer.headers["Cache-Control"], address]
sys.stdout.buffer.write(" | ".join(told).encode() + b"\\n")
sys.stdout.buffer.write(b"".join(answer.streaming_content))
"""


def test_collected_file__is_packed_and_named_by_its_content(tmp_path: Path) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    environment = (
        os.environ
        | nowhere
        | {"ASSAY_STATIC": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    headers, _, body = done.stdout.partition(b"\n")
    file = tmp_path / "unfold/css/styles.css"
    packed, vary, cache, address = headers.decode().split(" | ")
    assert (packed, vary) == ("gzip", "Accept-Encoding")
    assert re.fullmatch(r"/static/unfold/css/styles\.[0-9a-f]{12}\.css", address)
    assert "immutable" in cache
    assert body == file.with_name("styles.css.gz").read_bytes()
    assert gzip.decompress(body) == file.read_bytes()
    assert len(body) < file.stat().st_size / 4
