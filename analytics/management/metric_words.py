"""What a person says of an imported file's metrics and variants on the command line."""

from __future__ import annotations

from typing import Final

from django.core.management.base import CommandError

from analytics.core.intake.import_columns import Better, Kind, MetricColumn

KINDS: Final[dict[str, Kind]] = {
    "proportion": "proportion",
    "mean": "mean",
    "count": "count",
    "ratio": "ratio",
    "quantile": "quantile",
}
WANTED: Final = (
    "NAME=COL:KIND with KIND one of proportion, mean, count; NAME=ABOVE/BELOW:ratio; or NAME=COL:quantile:.95;"
    " and then perhaps :decrease when less is better"
)


def metric_of(text: str) -> MetricColumn:
    """``NAME=COL:KIND``, ``NAME=ABOVE/BELOW:ratio`` or ``NAME=COL:quantile:LEVEL``, with
    ``:decrease`` at the end where less is better.
    """
    name, found, rest = text.partition("=")
    words, direction = rest.split(":"), "increase"
    if words[-1] in ("increase", "decrease"):
        direction = words.pop()
    level = _level(text, words.pop()) if len(words) > 2 and words[-2] == "quantile" else None
    column, kind = ":".join(words[:-1]), KINDS.get(words[-1])
    if (
        not (found and name and column)
        or kind is None
        or (kind == "quantile") != (level is not None)
    ):
        raise CommandError(f"--metric {text!r}: expected {WANTED}")
    better: Better = "decrease" if direction == "decrease" else "increase"
    if kind != "ratio":
        return MetricColumn(name, column, kind, better, level=level)
    above, line, below = column.partition("/")
    if not (line and above.strip() and below.strip()) or "/" in below:
        raise CommandError(
            f"--metric {text!r}: a ratio has one column above and one below its line: NAME=ABOVE/BELOW:ratio"
        )
    return MetricColumn(name, above.strip(), kind, better, below=below.strip())


def _level(text: str, word: str) -> float:
    try:
        level = float(word)
    except ValueError:
        level = -1.0
    if not 0 < level < 1:
        raise CommandError(
            f"--metric {text!r}: a quantile's level lies between 0 and 1 (.95, not 95), found {word!r}"
        )
    return level


def metrics_of(texts: list[str]) -> tuple[MetricColumn, ...]:
    """All of them; refuses one name for two."""
    metrics = tuple(metric_of(text) for text in texts)
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise CommandError("--metric: two metrics have the same name")
    return metrics


def weights_of(texts: list[str]) -> dict[str, float] | None:
    """``NAME=W`` for each variant; None when nothing was said."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise CommandError(f"--weight {text!r}: expected NAME=W, W a number") from None
        if not name:
            raise CommandError(f"--weight {text!r}: expected NAME=W")
    return weights or None
