"""``python -m benchmarks.oracle CASES.json``: a line per failing or unsupported case, then the
count; exit 1 on a failure.

``--list`` prints every method, and what of it is left out and why; ``--keep FILE`` writes the
passed cases there, which is how ``tests/vectors/stats_oracle.json`` is made. Exit 2 when a file
cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.oracle import Case
from benchmarks.oracle.checking import Families, UnreadableCases, check, families, read_cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 when nothing failed, 1 on a failure, 2 on unreadable input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.oracle",
        description="Hold cases with known answers against ours.",
    )
    parser.add_argument("cases", nargs="*", type=Path, help="files of cases")
    parser.add_argument(
        "--list", action="store_true", help="print the methods, and what of them is left out"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="write the passed cases to this file"
    )
    options = parser.parse_args(arguments)
    known = families()
    if options.list:
        _print_methods(known)
        return 0
    if not options.cases:
        parser.error("name a file of cases, or give --list")
    try:
        cases = [case for path in options.cases for case in read_cases(path)]
    except UnreadableCases as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = [check(case, known) for case in cases]
    for verdict in verdicts:
        if verdict.outcome != "passed":
            print(verdict)
    if options.keep is not None:
        _keep(
            options.keep,
            [
                case
                for case, verdict in zip(cases, verdicts, strict=True)
                if verdict.outcome == "passed"
            ],
        )
    counts = Counter(verdict.outcome for verdict in verdicts)
    print(
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['unsupported']} unsupported"
    )
    return int(counts["failed"] > 0)


def _keep(path: Path, cases: Sequence[Case]) -> None:
    """A case a line, so that a change shows as one."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(f'{{"cases": [\n{lines}\n]}}\n', encoding="utf-8")


def _print_methods(known: Families) -> None:
    for method in sorted({*known.adapters, *known.left_out}):
        reasons = known.left_out.get(method, {})
        print(method if method in known.adapters else f"{method} (not computed)")
        for field, reason in sorted(reasons.items()):
            print(f"    {field}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
