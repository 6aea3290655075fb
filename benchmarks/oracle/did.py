"""Difference-in-differences, and CR2 for a treatment that whole clusters share."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from analytics.core.stats.did import Cell, Panel, difference_in_differences, effects, panel_of
from analytics.core.stats.did.bootstrap import bootstrap
from analytics.core.stats.did.cluster import ClusteredCoefficient, Sandwich, cr1, cr2, sandwich
from analytics.core.stats.did.panel import Floats
from benchmarks.oracle import Adapter, Case

HERE = Path(__file__).resolve()
BESIDE = HERE.parents[3] / "shared" / "data"
MOST_SIGNS = 16
"""More clusters than this have too many sign vectors to try them all."""
COPIED = HERE.parents[2] / "tests" / "vectors" / "organ_donations.json"


def _columns(i: Case, *order: str) -> dict[str, Floats]:
    """The case's columns by name, rows sorted by cluster."""
    table = np.array(i["rows"], dtype=float)
    names = i["columns"]
    table = table[np.argsort(table[:, names.index(order[0])], kind="stable")]
    return {name: table[:, names.index(name)] for name in names}


def _two_by_two(i: Case) -> tuple[Sandwich, Floats]:
    c = _columns(i, "cluster")
    return effects.two_by_two(c["treated"], c["post"], c["cluster"]), c["y"]


def _panel_of(i: Case) -> Panel:
    c = _columns(i, "cluster")
    cells = [
        Cell(f"{g:g}", f"{t:g}", float(y))
        for g, t, y in zip(c["cluster"], c["time"], c["y"], strict=True)
    ]
    treated = {f"{g:g}" for g, yes in zip(c["cluster"], c["treated"], strict=True) if yes}
    post = {f"{t:g}" for t, yes in zip(c["time"], c["post"], strict=True) if yes}
    return panel_of(
        cells, treated=treated, post=post, periods=[f"{t:g}" for t in np.unique(c["time"])]
    )


def _normal(value: float, se: float) -> Case:
    half = float(-ndtri(0.025)) * se
    return {
        "did": value,
        "se": se,
        "p": float(2 * ndtr(-abs(value / se))),
        "ci": [value - half, value + half],
    }


def _student(value: float, se: float, df: float) -> Case:
    half = float(-stdtrit(df, 0.025)) * se
    return {
        "did": value,
        "se": se,
        "p": float(2 * stdtr(df, -abs(value / se))),
        "ci": [value - half, value + half],
    }


def _spread(found: ClusteredCoefficient) -> float:
    if found.se is None:
        raise ValueError("the case has no spread")
    return found.se


def _did_panel(i: Case) -> Case:
    design, y = _two_by_two(i)
    rows = sandwich(
        design.x, np.arange(len(y))
    )  # each row a cluster of its own: CR1 and CR2 are HC1 and HC2
    df = len(y) - design.x.shape[1]
    residuals = design.residuals(y)
    classic = float(np.sqrt(residuals @ residuals / df * design.bread[0, 0]))
    clustered = cr1(design, y, effects.EFFECT)
    model = effects.two_way(_panel_of(i))
    twfe = cr1(model.design, model.swept(_panel_of(i).values), effects.EFFECT)
    return {
        "classic": _student(clustered.value, classic, df),
        "hc1": _normal(clustered.value, _spread(cr1(rows, y, effects.EFFECT))),
        "hc2": _normal(clustered.value, _spread(cr2(rows, y, effects.EFFECT))),
        "cluster": _student(clustered.value, _spread(clustered), clustered.df),
        "twfe_cluster": {"did": twfe.value, "se": twfe.se, "p": twfe.p},
    }


def _did_cr2(i: Case) -> Case:
    design, y = _two_by_two(i)
    found = cr2(design, y, effects.EFFECT)
    return {
        "did": found.value,
        "se_cr2": found.se,
        "df": found.df,
        "p": found.p,
        "se_cr1s": cr1(design, y, effects.EFFECT).se,
    }


def _pre_trend(i: Case) -> Case:
    c = _columns(i, "cluster")
    x = np.column_stack([c["treated"] * c["time"], np.ones(len(c["y"])), c["treated"], c["time"]])
    found = cr1(sandwich(x, c["cluster"]), c["y"], 0)
    return {"slope_diff": found.value, "se": found.se, "p": found.p}


def _wild(i: Case) -> Case:
    design, y = _two_by_two(i)
    every_sign = "all 2^G" in i.get("weights", "") and design.clusters <= MOST_SIGNS
    drawn = bootstrap(design, y, effects.EFFECT, every_sign=every_sign or None)
    found = cr1(design, y, effects.EFFECT)
    return {"t": found.t, "p": None if drawn is None else drawn.p()}


def _cr2_of_clusters(i: Case) -> Case:
    c = _columns(i, "cl")
    found = cr2(sandwich(np.column_stack([c["t"], np.ones(len(c["t"]))]), c["cl"]), c["y"], 0)
    return {"effect": found.value, "se": found.se, "df": found.df, "p": found.p}


def _organ_donation(i: Case) -> Case:
    panel = _organ_panel(i)
    model = effects.two_way(panel)
    found = cr1(model.design, model.swept(panel.values), effects.EFFECT)
    return {"did": difference_in_differences(panel).estimate, "se_cluster": found.se}


def _organ_panel(i: Case) -> Panel:
    """The file named by the case where it lies beside the project, else the numbers copied from
    it.
    """
    path = BESIDE / Path(i["file"]).name
    rows: Sequence[tuple[str, str, float]]
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == i["sha256"]:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                (row["State"], row["Quarter"], float(row["Rate"])) for row in csv.DictReader(file)
            ]
    else:
        copied = json.loads(COPIED.read_text(encoding="utf-8"))
        rows = [
            (state, period, value)
            for state, values in copied["values"].items()
            for period, value in zip(copied["periods"], values, strict=True)
        ]
    return panel_of([Cell(*row) for row in rows], treated=[i["treated"]], post=i["post"])


ADAPTERS: dict[str, Adapter] = {
    "did.cr2_satterthwaite": _did_cr2,
    "did.panel": _did_panel,
    "did.parallel_trend_check": _pre_trend,
    "did.wild_cluster_bootstrap": _wild,
    "ratio.estimatr_cr2": _cr2_of_clusters,
    "real.organ_donation_did": _organ_donation,
}
LEFT_OUT: dict[str, dict[str, str]] = {}
