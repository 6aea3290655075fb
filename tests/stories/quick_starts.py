"""The blocks of docs/quick-starts.md, run as they are printed against an installation, and what
each has to leave behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psycopg

from config.processes.embedded.place import PROJECT
from examples.recommender.app import recommender
from experiments.sdk import AssayClient
from tests.live import Live

PAGE = (PROJECT / "docs" / "quick-starts.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|sh|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = {
    part.partition("\n")[0]: BLOCK.findall(part)
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
GUIDE, LEADS, ENGINE, CRM = (
    "The A/B testing guide", "The lead experimentation framework", "The recommendation engine", "The framework guide for a CRM",
)  # fmt: skip


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests of a test are nobody's news."""


@contextmanager
def recommending(live: Live) -> Iterator[str]:
    """The example recommender, asking this installation; its address."""
    with (
        AssayClient(live.url, live.keys["server"], poll_seconds=0.5, send_seconds=0.1) as client,
        make_server("127.0.0.1", 0, recommender(client), handler_class=Quiet) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(live: Live, section: str, **also: str) -> str:
    """What the section's blocks print, each run as it is."""
    environment = {
        **os.environ, "URL": live.url, "KEY": live.keys["server"], "TOOLS": live.keys["management"],
        "ASSAY_URL": live.url, "ASSAY_KEY": live.keys["server"], "ASSAY_MANAGEMENT_KEY": live.keys["management"],
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT), **also,
    }  # fmt: skip
    printed = ""
    for language, code in SECTIONS[section]:
        if language == "sql":
            continue
        command = (
            [sys.executable, "-c", code]
            if language == "python"
            else ["bash", "-euo", "pipefail", "-c", code]
        )
        done = subprocess.run(
            command,
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        printed += done.stdout
    return printed


def guide(live: Live) -> None:
    """The guide's experiment runs, and each of its 200 users has a similarity."""
    assert "['control', 'treatment']" in run(live, GUIDE)
    assert live.sql("SELECT status FROM experiments WHERE name = 'new_embedding_model'") == [
        ("running",)
    ]
    [(units,)] = live.sql(
        "SELECT count(*) FROM ai_ab_metrics m JOIN experiments e USING (experiment_id)"
        " WHERE e.name = 'new_embedding_model' AND m.metric_name = 'avg_similarity'"
    )
    assert units == 200


def leads(live: Live) -> str:
    """The leads' outcomes are stored; what the calls printed."""
    printed = run(live, LEADS)
    assert '"followup_timing"' in printed
    [(booked,)] = live.sql(
        "SELECT count(*) FROM ai_events v JOIN experiments e USING (experiment_id)"
        " WHERE e.key = 'followup_timing' AND v.event_type = 'booked' AND v.user_id LIKE 'tenant-%'"
    )
    assert 5 < booked < 20
    return printed


def engine(live: Live) -> None:
    """The engine's experiment recommends, converts and is measured, and its SQL finds all of
    that.
    """
    with recommending(live) as address:
        printed = run(live, ENGINE, RECOMMENDER=address)
    assert '"recommendations"' in printed and '"variant_metrics"' in printed
    [(uuid,)] = live.sql("SELECT uuid FROM experiments WHERE name = 'lora_boost_test'")
    statements = next(code for language, code in SECTIONS[ENGINE] if language == "sql").replace(
        "user_id = '…'", "user_id = 'u-42'"
    )
    counted, assigned = statements.replace("…", str(uuid)).split(";")[1:3]
    assert live.sql("SELECT set_config('search_path', 'source_003', false)") == [("source_003",)]
    assert in_schema(live, counted) == [(1,)]
    assert len(in_schema(live, assigned)) == int('"lora_boost_test:' in printed)


def in_schema(live: Live, statement: str) -> list[tuple[object, ...]]:
    """Rows of a statement in the recommendation engine's own schema."""
    with psycopg.connect(
        live.database_url, autocommit=True, options="-c search_path=source_003"
    ) as connection:
        return connection.execute(statement).fetchall()


def crm(live: Live) -> None:
    """The CRM's experiment runs, has its result, and is not won yet."""
    printed = run(live, CRM)
    assert '"recommended_winner_id"' in printed
    assert live.sql(
        "SELECT status FROM experiments WHERE name = 'Lead Qualification Prompt Test'"
    ) == [("running",)]
    assert live.sql(
        "SELECT value FROM ai_ab_metrics WHERE metric_name = 'resolution_rate' AND user_id = '123'"
    ) == [(1.0,)]
    progress = next(code for language, code in SECTIONS[CRM] if language == "sql")
    counts = {row[0]: row[2:] for row in live.sql(progress)}
    assert counts["Lead Qualification Prompt Test"][1] == 1
