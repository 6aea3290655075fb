"""The demo's geo pilot: sales of twelve cities over ten weeks, five of them with the coach on their
posters from week seven on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from analytics.core.stats.did import Cell, Panel, panel_of
from analytics.services.importing.geo import import_pilot
from experiments.core.types import Actor
from experiments.models import Experiment
from experiments.services.drafts.templates import create_from_template

from .attending import report

KEY = "geo_posters"
TREATED = ("Bergen", "Coimbra", "Gdynia", "Leuven", "Tampere")
NEIGHBOURS = ("Arhus", "Braga", "Ghent", "Malmo", "Sopot", "Stavanger", "Turku")
WEEKS, BEFORE = 10, 6
EFFECT, NOISE = 9.0, 2.0
SEED = 20_260_402


def load_pilot(owner: Actor, now: datetime) -> Experiment:
    """Drafted before the posters went up, its panel brought in and read when they came down."""
    began = now - timedelta(weeks=WEEKS + 1)
    changes = {
        "description": "Posters for the AI coach in five cities; their neighbours see none.",
        "hypothesis": "Where the posters hang more people sign up than in the cities beside them.",
        "expected_effect": "Five sign-ups a week and ten thousand people more.",
        "tags": ("coach", "demo"),
    }
    draft = create_from_template(
        owner,
        began,
        template_key="geo_pilot",
        name="Posters for the coach",
        key=KEY,
        changes=changes,
    )
    read = now - timedelta(days=3)
    import_pilot(
        owner, read, key=draft.key, panel=panel(began), metric="sign-ups a week and ten thousand people", region_label="city",
        source="posters.csv",
    )  # fmt: skip
    report(draft, read)
    draft.refresh_from_db()
    return draft


def panel(began: datetime) -> Panel:
    """Cities differ, weeks differ, and posters add ``EFFECT``."""
    random = np.random.default_rng(SEED)
    weeks = [f"{began + timedelta(weeks=week):%Y-%m-%d}" for week in range(WEEKS)]
    season = 3 * np.sin(np.arange(WEEKS) / 2)
    cells = [
        Cell(
            city,
            week,
            round(
                float(
                    level
                    + season[t]
                    + EFFECT * (city in TREATED and t >= BEFORE)
                    + random.normal(0, NOISE)
                ),
                1,
            ),
        )
        for city, level in zip(
            (*TREATED, *NEIGHBOURS),
            random.normal(60, 8, len(TREATED) + len(NEIGHBOURS)),
            strict=True,
        )
        for t, week in enumerate(weeks)
    ]
    return panel_of(cells, treated=TREATED, post=weeks[BEFORE:], periods=weeks)
