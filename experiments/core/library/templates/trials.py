"""Experiments about the experimenting itself, and those that no unit can be dealt for: an A/A test,
a geo pilot.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, VariantSpec
from experiments.core.library.templates.base import Template, primary
from experiments.core.types import Origin

GEO = "geo"
"""The experiment_type of a geo pilot."""

AA_TEST = Template(
    ExperimentSpec(
        name="A/A test",
        key="aa_test",
        description="Everybody gets the same, counted as two arms.",
        experiment_type="feature",
        variants=(
            VariantSpec("Same", 500, key="same", is_control=True, config={"arm": "same"}),
            VariantSpec("Same again", 500, key="same_again", config={"arm": "same"}),
        ),
        policy_key="standard",
        metrics=(primary("apply_conversion", 0.15),),
        hypothesis="There is nothing to find. What is found says that assignment, logging or analysis is broken.",
        expected_effect="None.",
    ),
    advice="One of twenty crosses its boundary by chance. Shares that are off or arms that differ in every metric are no chance.",
)
GEO_PILOT = Template(
    ExperimentSpec(
        name="Geo pilot",
        key="geo_pilot",
        description="Something is changed in some regions; their neighbours are the control.",
        experiment_type=GEO,
        origin=Origin.IMPORT,
        variants=(
            VariantSpec("control regions", 500, key="control", is_control=True),
            VariantSpec("treated regions", 500, key="treated"),
        ),
        unit_type="region",
        policy_key="standard",
        hypothesis="Where it is changed, the figure moves away from where it moved before and where the neighbours move.",
    ),
    advice=(
        "No unit is dealt and no flag served: say in the draft what is changed where and what should come of it, then bring the panel in"
        " under its key with manage.py import_geo. Ten regions or more, and several periods before the start, let it say something."
    ),
)

TRIALS = (AA_TEST, GEO_PILOT)
