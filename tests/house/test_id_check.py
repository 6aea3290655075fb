"""The table in docs/clients.md with which users check how their SDK hashes ids outside ASCII."""

from __future__ import annotations

import json
import re

from growthbook import Experiment, GrowthBook

from config.processes.embedded.place import PROJECT
from experiments.core.hashing import _over_bytes, bucket_of

SECTION = (
    (PROJECT / "docs" / "clients.md")
    .read_text(encoding="utf-8")
    .partition("### Ids outside ASCII")[2]
)
ROWS = re.findall(r"^\| `(.+?)` \| (\d+) \| ([01]) \| ([01]) \|$", SECTION, re.MULTILINE)
EXPERIMENT = json.loads(SECTION.partition("```json\n")[2].partition("```")[0])


def over_bytes(unit_id: str) -> int:
    """The bucket of an SDK that hashes the bytes of UTF-8."""
    inner = _over_bytes((EXPERIMENT["seed"] + unit_id).encode())
    return _over_bytes(str(inner).encode()) % 10000 // 10


def test_table__of_the_page__is_what_we_and_growthbook_compute():
    assert len(ROWS) >= 6
    for unit_id, bucket, agreeing, _ in ROWS:
        assert bucket_of(EXPERIMENT["seed"], unit_id) == int(bucket)
        assert int(bucket) // 500 == int(agreeing)
        sdk = GrowthBook(attributes={"id": unit_id})
        assert sdk.run(Experiment(**EXPERIMENT)).variationId == int(agreeing)
        sdk.destroy()


def test_table__of_the_page__tells_an_sdk_that_hashes_bytes():
    assert [over_bytes(unit_id) // 500 for unit_id, *_ in ROWS] == [
        int(other) for *_, other in ROWS
    ]
    outside = [(agreeing, other) for unit_id, _, agreeing, other in ROWS if not unit_id.isascii()]
    assert len(outside) >= 5 and all(agreeing != other for agreeing, other in outside)
