"""The engine's own error rates in full, as ``manage.py calibrate`` prints them; fails when one is
out of range.

Run with ``python -m benchmarks.bench_calibrate [--quick] [--seed S] [--only NAME …]``.
"""

from __future__ import annotations

import sys

from config.processes.command_line import run


def main() -> None:
    run(["manage.py", "calibrate", *sys.argv[1:]])


if __name__ == "__main__":
    main()
