"""Runs every benchmark, each in a process of its own: ``python -m benchmarks [NAME …]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))


def main(wanted: list[str]) -> int:
    """Exit code 1 when one of them fails or is unknown."""
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(
            f"unknown benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr
        )
        return 1
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        for name in wanted or NAMES
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
