"""Static files are packed when they are collected, and those who take gzip get the packed ones."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

from config.embedded.place import PROJECT

LOOK = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
from django.test import Client
answer = Client().get("/static/unfold/css/styles.css", headers={"Accept-Encoding": "gzip", "Host": "localhost"})
sys.stdout.buffer.write(answer.headers.get("Content-Encoding", "none").encode() + b" " + answer.headers.get("Vary", "").encode() + b"\\n")
sys.stdout.buffer.write(b"".join(answer.streaming_content))
"""


def test_collected_file__for_who_takes_gzip__is_the_packed_one(tmp_path: Path) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    environment = os.environ | nowhere | {"ASSAY_STATIC": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK], cwd=PROJECT, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    headers, _, body = done.stdout.partition(b"\n")
    file = tmp_path / "unfold/css/styles.css"
    assert headers == b"gzip Accept-Encoding"
    assert body == file.with_name("styles.css.gz").read_bytes()
    assert gzip.decompress(body) == file.read_bytes()
    assert len(body) < file.stat().st_size / 4
