"""``manage.py replay_decision ID``: ask the present rules about the facts of a stored decision, and
compare the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.deciding.decision import Decision as Verdict
from analytics.models import Decision
from analytics.services.analysis.analysis import ENGINE, outcome_of, replay

NOTHING = "–"
Told = dict[str, str]
"""A decision in words: verdict, outcome, arms, rule."""


class Command(BaseCommand):
    help = "Print a stored decision, decide anew on its stored facts, and say whether the answer is the same; ends with 1 when it is not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id", type=int, help="The decision's number, as the changelog and the report quote it."
        )
        parser.add_argument(
            "--facts", action="store_true", help="Print the facts that it rests on, too, as JSON."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        row = (
            Decision.objects.filter(pk=options["id"])
            .select_related("iteration__experiment", "look")
            .first()
        )
        if row is None:
            raise CommandError(f"decision {options['id']}: there is none")
        if options["facts"]:
            self.stdout.write(json.dumps(row.facts, indent=2, sort_keys=True, ensure_ascii=False))
        then, now = stored(row), replayed(row)
        self.stdout.write("\n".join(lines(row, then, now)))
        differing = [name for name in then if then[name] != now[name]]
        if differing:
            raise CommandError(f"decision {row.pk}: different now in {', '.join(differing)}")
        self.stdout.write(f"decision {row.pk}: the same answer from the same facts")


def stored(row: Decision) -> Told:
    """The decision as it was written down."""
    return {
        "verdict": row.verdict,
        "outcome": row.outcome or NOTHING,
        "arms": ", ".join(row.arms) or NOTHING,
        "rule": row.rule,
    }


def replayed(row: Decision) -> Told:
    """What the present rules say to the stored facts; refuses facts that they cannot read."""
    try:
        found: Verdict = replay(row)
    except msgspec.ValidationError as misfit:
        raise CommandError(
            f"decision {row.pk}: its facts are of a shape that engine {ENGINE} cannot read: {misfit}"
        ) from misfit
    return {
        "verdict": found.kind,
        "outcome": outcome_of(found) or NOTHING,
        "arms": ", ".join(found.arms) or NOTHING,
        "rule": found.rule,
    }


def lines(row: Decision, then: Told, now: Told) -> Iterator[str]:
    """Which decision it is, by which versions, and each part then and, where it differs, now."""
    iteration, look = row.iteration, row.look
    place = f"look {look.number} of {look.local_day}" if look is not None else "between looks"
    yield f"decision {row.pk}: {iteration.experiment.key}, iteration {iteration.number}, {place}, made {row.made_at:%Y-%m-%d %H:%M:%S} UTC"
    metrics = ", ".join(
        f"{key} v{version}" for key, version in sorted(row.versions.get("metrics", {}).items())
    )
    yield f"versions: engine {row.versions.get('engine', NOTHING)} then, {ENGINE} now; metrics {metrics or NOTHING}"
    for name, text in then.items():
        yield f"{name + ':':<9} {text}"
        if now[name] != text:
            yield f"{'now:':>9} {now[name]}"
