"""In which order test files are handed to the workers, and which stay together.

The longest begin, so that no worker ends alone; and all that ask the live installation run in one
worker, since starting one takes as long as asking it.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

LIVE = frozenset(
    {
        "tests/clients/test_docs_clients.py",
        "tests/clients/test_growthbook_js.py",
        "tests/clients/test_growthbook_python.py",
        "tests/clients/test_kill_switch.py",
        "tests/clients/test_live.py",
        "tests/clients/test_one_piece.py",
        "tests/clients/test_openfeature_js.py",
        "tests/clients/test_openfeature_python.py",
        "tests/clients/test_packed.py",
        "tests/clients/test_parity.py",
        "tests/clients/test_parity_doors.py",
        "tests/clients/test_segment.py",
        "tests/clients/test_snippets.py",
        "tests/config/test_roles.py",
        "tests/experiments/sdk/test_live.py",
    }
)
"""Files whose tests ask for the fixture ``live``."""
LONG = {
    "tests/clients/test_parity.py": 900,
    "tests/config/test_command_line.py": 400,
    "tests/experiments/admin/experiment/test_rights.py": 400,
    "tests/experiments/api/test_no_500.py": 400,
    "tests/stories/test_each_item_blocks.py": 350,
    "tests/stories/test_examples.py": 200,
    "tests/experiments/admin/test_one_answer.py": 200,
    "tests/analytics/services/analysis/test_analysis.py": 180,
    "tests/stories/test_first_experiment.py": 150,
    "tests/experiments/api/test_openapi.py": 150,
    "tests/stories/test_counted_at_once.py": 140,
    "tests/analytics/management/test_analyze.py": 140,
    "tests/stories/test_guardrails.py": 120,
    "tests/config/test_services.py": 120,
    "tests/analytics/admin/test_results.py": 100,
    "tests/analytics/services/ingest/test_imports.py": 100,
    "tests/analytics/services/importing/test_ratios_and_clusters.py": 100,
    "tests/analytics/services/analysis/test_decision_path.py": 100,
    "tests/house/test_engines.py": 100,
    "tests/chaos/test_spool.py": 100,
}
"""Files of few tests that take long, in tests of usual length."""


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Order the files; the tests of a file keep their order."""
    tests = Counter(file_of(item.nodeid) for item in items)
    items.sort(
        key=lambda item: (
            -LONG.get(file_of(item.nodeid), tests[file_of(item.nodeid)]),
            file_of(item.nodeid),
        )
    )


class Files(LoadFileScheduling):
    """A file's tests go to one worker, in the order of collection; the files of the live
    installation all to the same.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        return "the live installation" if file in LIVE else file
