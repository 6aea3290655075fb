"""``python -m benchmarks.oracle CASES.json``: a line per failing or unsupported case, then the count; exit 1 on a failure.

``--list`` prints every method, and what of it is left out and why. Exit 2 when the file cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.oracle.checking import Families, UnreadableCases, check, families, read_cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 when nothing failed, 1 on a failure, 2 on unreadable input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracle", description="Hold cases with known answers against ours.")
    parser.add_argument("cases", nargs="*", type=Path, help="files of cases")
    parser.add_argument("--list", action="store_true", help="print the methods, and what of them is left out")
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
    counts: Counter[str] = Counter()
    for case in cases:
        verdict = check(case, known)
        counts[verdict.outcome] += 1
        if verdict.outcome != "passed":
            print(verdict)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['unsupported']} unsupported")
    return int(counts["failed"] > 0)


def _print_methods(known: Families) -> None:
    for method in sorted({*known.adapters, *known.left_out}):
        reasons = known.left_out.get(method, {})
        print(method if method in known.adapters else f"{method} (not computed)")
        for field, reason in sorted(reasons.items()):
            print(f"    {field}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
