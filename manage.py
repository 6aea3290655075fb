#!/usr/bin/env python3
"""Django's command line, with services of our own when none are configured."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from config.processes.command_line import run
    except ImportError as error:
        sys.exit(
            f"{error}. Is the virtual environment set up and active? Run `make setup`, then .venv/bin/python manage.py …"
        )
    run(sys.argv)


if __name__ == "__main__":
    main()
