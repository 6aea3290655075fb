"""How long the workplace's pages take, and how often they ask the database, among few and among
many experiments.

``python -m benchmarks.bench_pages``. The demo's examples are loaded, and a running one with many
analyses is copied with all of its rows until there are 200; then with its newest analysis alone
until there are 2,000. Pages are asked for in this process, through every middleware; the median of
a page's rounds counts. Exit code 1 when a page is slower than its floor, asks too often, asks more
often among more experiments, or when the overview takes more than ``GROWTH`` times as long among
2,000.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.serving.floors import Floor, table
from benchmarks.serving.place import ground

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

FEW, MANY, MASS = 40, 200, 2_000
GROWTH = 1.2
"""The overview among ``MASS`` experiments may take so many times as long as among ``FEW``."""
ROUNDS = 9
MILLISECONDS, QUERIES = 300, 40
READS_THE_STORE = {"cost": (300, 50)}
"""Its own floors for a tab that asks the events themselves: each question to the store is five
statements.
"""


def main() -> int:
    """Print the table; 1 when a floor is missed."""
    os.environ["ASSAY_DEMO"] = "1"  # else the demo's people could not act
    with ground():
        original = _load()
        found = {}
        for number in (FEW, MANY, MASS):
            _copy(original, number)
            print(f"among {number:,} experiments", flush=True)
            pages = _addresses(original)
            found[number] = _asked(pages if number < MASS else {"overview": pages["overview"]})
    floors = [*_floors(found[FEW], found[MANY]), *_growth(found[FEW], found[MASS])]
    print(table(floors))
    return int(not all(floor.met for floor in floors))


def _floors(
    few: Mapping[str, tuple[float, int]], many: Mapping[str, tuple[float, int]]
) -> Iterable[Floor]:
    for name, (took, queries) in many.items():
        slowest, allowed = READS_THE_STORE.get(name, (MILLISECONDS, QUERIES))
        yield Floor(
            f"{name}, among {MANY}",
            took,
            slowest,
            least=False,
            form="{:.0f} ms",
            note=f"{few[name][0]:.0f} ms among {FEW}",
        )
        yield Floor(f"{name}, queries among {MANY}", queries, allowed, least=False, form="{:.0f}")
        yield Floor(
            f"{name}, queries more than among {FEW}",
            queries - few[name][1],
            0,
            least=False,
            form="{:.0f}",
        )


def _growth(
    few: Mapping[str, tuple[float, int]], mass: Mapping[str, tuple[float, int]]
) -> Iterable[Floor]:
    """A ratio within the run, so that the processor does not matter."""
    for name, (took, queries) in mass.items():
        before, asked = few[name]
        note = f"{before:.0f} and {took:.0f} ms"
        yield Floor(
            f"{name}, {MASS:,} against {FEW}",
            took / before,
            GROWTH,
            least=False,
            form="{:.2f} ×",
            note=note,
        )
        yield Floor(
            f"{name}, queries more among {MASS:,}", queries - asked, 0, least=False, form="{:.0f}"
        )


def _load() -> int:
    """The examples; the id of the running one that was analysed most often."""
    from django.db.models import Count

    from analytics.services import examples
    from experiments.core.clock import utc_now
    from experiments.core.types import Status
    from experiments.models import Experiment

    examples.load(utc_now(), progress=lambda text: None)
    running = Experiment.objects.filter(status=Status.RUNNING).annotate(
        analyses=Count("analysis_runs")
    )
    return running.order_by("-analyses", "pk")[0].pk


def _addresses(pk: int) -> dict[str, str]:
    from django.urls import reverse

    from experiments.admin.experiment_page import TABS

    page = reverse("admin:experiments_experiment_change", args=(pk,))
    lists = {
        "overview": reverse("admin:index"),
        "list": reverse("admin:experiments_experiment_changelist"),
    }
    return lists | {tab: f"{page}?tab={tab}" for tab, _ in TABS}


def _asked(addresses: Mapping[str, str]) -> dict[str, tuple[float, int]]:
    """Milliseconds and queries of each page, for a data scientist; the first answer of each is not
    counted.
    """
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="dmitri"))
    return {name: _measured(client, address) for name, address in addresses.items()}


def _measured(client: Client, address: str) -> tuple[float, int]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        for _ in range(2):
            before = len(captured)
            answer = client.get(address)
            if answer.status_code != 200:
                raise RuntimeError(f"{address} answered {answer.status_code}")
        queries = len(captured) - before
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(address)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took), queries


def _copy(original: int, wanted: int) -> None:
    """Copies of the original with its rows, until there are so many experiments."""
    from django.db import connection, transaction

    from experiments.models import Experiment

    for number in range(Experiment.objects.count(), wanted):
        with transaction.atomic():
            _copied(Experiment.objects.get(pk=original), number, whole=number < MANY)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _copied(original: Any, number: int, *, whole: bool) -> None:
    """``whole``: with everything that ever happened to it, not only its newest analysis."""
    from analytics.models import AnalysisRun, Decision, Look
    from experiments.models import Evidence, ExperimentMetric, Iteration, SignOff, Variant

    new: dict[tuple[type, int], Model] = {}
    _twins(new, [original.flag], key=f"flag-{number}")
    name = f"Copy {number} of {original.name}"
    _twins(new, [original], key=f"copy_{number}", name=name[:120], flag_id=f"flag-{number}")
    for model, path in (
        (Variant, "experiment"), (ExperimentMetric, "experiment"), (SignOff, "experiment"), (Evidence, "experiment"),
        (Iteration, "experiment"), (AnalysisRun, "experiment"), (Look, "iteration__experiment"), (Decision, "iteration__experiment"),
    ):  # fmt: skip
        rows = model._default_manager.filter(**{path: original.pk}).order_by("pk")
        newest = {"latest": True} if model is AnalysisRun else {}
        _twins(new, _kept(original.pk, model, rows if whole else rows.filter(**newest)))


_ROWS: dict[tuple[int, type, int], list[Any]] = {}


def _kept(original: int, model: type, rows: Any) -> list[Any]:
    """The original's rows of a kind, read once: they do not change."""
    found = _ROWS.setdefault((original, model, rows.count()), [])
    if not found:
        found.extend(rows)
    return found


def _twins(new: dict[tuple[type, int], Model], rows: Iterable[Any], **changes: object) -> None:
    """The same rows again, with what they point at replaced by the twins that are there already."""
    rows = list(rows)
    made = [type(row)(**_values(new, row) | changes) for row in rows]
    twins = type(rows[0])._default_manager.bulk_create(made) if made else []
    new.update({(type(row), row.pk): twin for row, twin in zip(rows, twins, strict=True)})


def _values(new: Mapping[tuple[type, int], Model], row: Any) -> dict[str, Any]:
    import uuid

    from django.db.models import ForeignKey, UUIDField

    values: dict[str, Any] = {}
    for one in row._meta.concrete_fields:
        if one.primary_key:
            continue
        value = getattr(row, one.attname)
        if isinstance(one, ForeignKey) and (one.related_model, value) in new:
            value = new[one.related_model, value].pk
        values[one.attname] = uuid.uuid4() if isinstance(one, UUIDField) and one.unique else value
    return values


if __name__ == "__main__":
    sys.exit(main())
